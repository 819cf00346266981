"""The Python driver: hosts clients of the official SDK and does what the harness says."""

import os
import sys
import threading

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, LitePushConsumer,
                      LiteSimpleConsumer, Message, MessageListener, Producer)

AWAIT_S = 5  # long poll of the simple consumer

_out = threading.Lock()


def say(*words):
    with _out:
        print("@" + "\t".join(words), flush=True)


def tell_message(consumer, message):
    say("message", consumer, message.lite_topic, message.body.decode(),
        str(message.delivery_attempt), message.message_id)


class Listener(MessageListener):
    def __init__(self, consumer, listener):
        self.consumer, self.listener = consumer, listener

    def consume(self, message):
        tell_message(self.consumer, message)
        # A listener that obeys does what the body of the message says.
        behaviour = message.body.decode() if self.listener == "obey" else self.listener
        if behaviour == "hold":
            threading.Event().wait()
        if behaviour == "fail" or behaviour == "fail-first" and message.delivery_attempt == 1:
            return ConsumeResult.FAILURE
        return ConsumeResult.SUCCESS


class Driver:
    def __init__(self, endpoint):
        key, secret = os.environ["LITEMQ_SDK_ACCESS_KEY"], os.environ["LITEMQ_SDK_SECRET"]
        self.configuration = ClientConfiguration(endpoint, Credentials(key, secret))
        self.clients = {}
        self.received = {}

    def producer(self, topic):
        self.clients["producer"] = Producer(self.configuration, (topic,))
        self.clients["producer"].startup()

    def send(self, topic, lite, body, *properties):
        message = Message()
        message.topic, message.lite_topic, message.body = topic, lite, body.encode()
        for text in properties:
            message.add_property(*text.split("=", 1))
        return [self.clients["producer"].send(message).message_id]

    def push(self, consumer, topic, group, listener):
        self.clients[consumer] = LitePushConsumer(
            self.configuration, group, topic, Listener(consumer, listener))
        self.clients[consumer].startup()

    def simple(self, consumer, topic, group):
        self.clients[consumer] = LiteSimpleConsumer(
            topic, self.configuration, group, await_duration=AWAIT_S)
        self.clients[consumer].startup()

    def subscribe(self, consumer, lite):
        self.clients[consumer].subscribe_lite(lite)

    def unsubscribe(self, consumer, lite):
        self.clients[consumer].unsubscribe_lite(lite)

    def receive(self, consumer, count, invisible_s):
        for message in self.clients[consumer].receive(int(count), int(invisible_s)):
            self.received[message.message_id] = message
            tell_message(consumer, message)

    def ack(self, consumer, message_id):
        self.clients[consumer].ack(self.received.pop(message_id))

    def nack(self, consumer, message_id, invisible_s):
        self.clients[consumer].change_invisible_duration(self.received.pop(message_id), int(invisible_s))

    def close(self, consumer):
        self.clients.pop(consumer).shutdown()


def main():
    driver = Driver(sys.argv[1])
    say("ok", "ready")
    for line in sys.stdin:
        sequence, verb, *arguments = line.rstrip("\n").split("\t")
        try:
            values = getattr(driver, verb)(*arguments) or []
        except Exception as error:  # every error of the SDK goes to the harness in words
            say("error", sequence, type(error).__name__, " ".join(str(error).split()))
        else:
            say("ok", sequence, *values)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # The SDK leaves threads behind that would keep the process alive.
    os._exit(0)
