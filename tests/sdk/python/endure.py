"""Sends and receives with the official Python SDK whatever happens to the broker. See README.md, "Endurance"."""

import json
import os
import sys
import threading
import time

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, LitePushConsumer, Message,
                      MessageListener, Producer)

_out = threading.Lock()


def say(event, **values):
    with _out:
        print(json.dumps({"event": event, "at_ms": now_ms(), **values}), flush=True)


def now_ms():
    return time.time_ns() // 1_000_000


class Listener(MessageListener):
    def consume(self, message):
        body = message.body.decode()
        # This SDK does not tell a consumer the offset.
        what = {"id": body.split(" ")[0], "lite": message.lite_topic, "offset": None, "attempt": message.delivery_attempt}
        say("delivered", body=body, **what)
        say("acked", **what)
        return ConsumeResult.SUCCESS


def send_until(quiet, configuration, topic, name, lites, pause_s):
    producer = Producer(configuration, (topic,))
    producer.startup()
    number = 0
    while not quiet.wait(pause_s):
        lite, sequence = lites[number % len(lites)], number // len(lites)
        number += 1
        identity = f"{name}-{lite}-{sequence}"
        message = Message()
        message.topic, message.lite_topic = topic, lite
        message.body = " ".join([identity] * (1 + sequence % 40)).encode()
        sent = {"id": identity, "lite": lite, "sequence": sequence, "asked_ms": now_ms()}
        try:
            say("sent", **sent, offset=producer.send(message).offset)
        except Exception as error:  # whatever the SDK tells its user
            say("sent", **sent, error=" ".join(str(error).split()))
    say("quiet")


def main():
    endpoint, topic, group, name, lites, per_second = sys.argv[1:]
    lites = lites.split(",")
    configuration = ClientConfiguration(endpoint, Credentials())
    consumer = LitePushConsumer(configuration, group, topic, Listener())
    consumer.startup()
    for lite in lites:
        consumer.subscribe_lite(lite)
    quiet = threading.Event()
    sender = (quiet, configuration, topic, name, lites, 1 / float(per_second))
    threading.Thread(target=send_until, args=sender, daemon=True).start()
    say("ready")
    for _line in sys.stdin:
        quiet.set()
    # The SDK leaves threads behind that would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
