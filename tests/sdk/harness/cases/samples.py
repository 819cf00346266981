"""Java: the programs that users are shown."""

import time
from pathlib import Path

from ..world import check

DONE_WITHIN_S = 60  # most of it is the start of a JVM on a busy machine

# The published examples have port 8080 in their code, so each suite that runs them has a loopback address of its own.
PUBLISHED_EXAMPLE_NETS = {"java-5.1.0": 51, "java-5.2.0": 52}


def runs_the_sample_programs(w):
    """The programs that users are shown, with endpoint, topic and group as their arguments."""
    topic = w.topic()
    group = w.group(topic)
    address = w.broker.endpoint
    _, output = w.program("samples.LitePushConsumerSample", address, topic, group)
    wait_for_line(output, "Subscribed=", DONE_WITHIN_S)
    wait_for_line(output, "lite-topic-1, lite-topic-2]", DONE_WITHIN_S, or_text="lite-topic-2, lite-topic-1]")
    producer, sent = w.program("samples.LiteProducerSample", address, topic)
    check(producer.wait(timeout=DONE_WITHIN_S) == 0, f"the producer failed, see {sent}")
    wait_for_line(sent, "Send message successfully", 0)
    wait_for_line(output, "Consume message=lite-topic-1:messageBody", DONE_WITHIN_S)


def runs_the_published_examples(w):
    """The example classes inside the SDK's own jar, not one byte changed: only their host name is ours."""
    address = f"127.0.{PUBLISHED_EXAMPLE_NETS[w.sdk.name]}.1"
    broker = w.own_broker(listen=f"{address}:8080")
    broker.create_topic("yourParentTopic")
    broker.create_group("yourConsumerGroup", "yourParentTopic", ordered=False)
    hosts = w.file("hosts", f"{address} foobar.com\n")
    flags = (f"-Djdk.net.hosts.file={hosts}", "-Dmq.consoleAppender.enabled=true")
    package = "org.apache.rocketmq.client.java.example"
    _, consumed = w.program(f"{package}.LitePushConsumerExample", flags=flags)
    wait_for_line(consumed, "SubscribeLite lite-topic-3", DONE_WITHIN_S)
    _, sent = w.program(f"{package}.LiteProducerExample", flags=flags)
    wait_for_line(sent, "Send message successfully", DONE_WITHIN_S)
    wait_for_line(consumed, "Consume message=", DONE_WITHIN_S)


def wait_for_line(path, text, within_s, or_text=None):
    deadline = time.monotonic() + within_s
    while True:
        content = Path(path).read_text(errors="replace")
        if text in content or (or_text and or_text in content):
            return
        check(time.monotonic() <= deadline, f"'{text}' not in {path} within {within_s} s")
        time.sleep(0.05)
