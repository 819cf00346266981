"""What is sent arrives: once, in order, whatever happens to consumers and broker."""

import time

from ..driver import SdkError
from ..world import DELIVERED_WITHIN_S, bodies, check, first_arrivals
from .steps import (LEASE_S, RETRY_S, in_background, receive_some, send_round_robin,
                    subscribe_when_settings_are_there)

# A killed push consumer keeps its lease of 60 s, and its session may outlive it for a while.
KILLED_CONSUMER_S = 120
CRASH_RECOVERY_S = 120
RATE = 5  # messages a second


def sends_and_receives_in_order(w):
    """Messages sent before and after the subscription arrive once each, in order per lite topic."""
    topic = w.topic()
    group = w.group(topic)
    lites = [f"order-{n}" for n in range(5)]
    driver = w.driver()
    driver.producer(topic)
    send_round_robin(driver, topic, lites, range(0, 5))
    driver.push("c", topic, group)
    driver.subscribe("c", *lites)
    send_round_robin(driver, topic, lites, range(5, 10))
    seen = driver.wait_for("50 messages", lambda seen: len(seen) >= 50, w.delivery_s)
    for lite in lites:
        check(bodies(seen, lite) == [str(n) for n in range(10)], f"{lite} came as {bodies(seen, lite)}")
    check({m.attempt for m in seen} == {1}, "a first delivery must have attempt 1")
    there = w.broker.lite_names(topic)
    check(there == lites, f"only sends may create lite topics; there are {there}")


def acked_messages_stay_acked(w):
    """A restarted consumer gets what came meanwhile and nothing that was acked before."""
    topic = w.topic()
    group = w.group(topic, ordered=False)
    lites = ["task-a", "task-b"]
    first = w.driver()
    first.producer(topic)
    first.push("c", topic, group)
    first.subscribe("c", *lites)
    send_round_robin(first, topic, lites, range(5))
    first.wait_for("10 messages", lambda seen: len(seen) >= 10, w.delivery_s)
    first.close("c")
    send_round_robin(first, topic, lites, ["new"])
    second = w.driver()
    second.push("c", topic, group)
    second.subscribe("c", *lites)
    seen = second.wait_for("the two new messages", lambda seen: bodies(seen).count("new") >= 2, w.delivery_s)
    check(bodies(seen) == ["new", "new"], f"acked messages came back: {bodies(seen)}")


def unacked_messages_return_after_the_lease(w):
    """What a simple consumer does not ack comes again after the lease, with a higher attempt, and holds up the rest."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    send_round_robin(driver, topic, ["session-1"], range(3))
    driver.simple("s", topic, group)
    subscribe_when_settings_are_there(driver, "s", "session-1")
    # How many come at once is the broker's choice: one by one to SDKs that do not keep an order themselves.
    first = receive_some(driver, "s", w.delivery_s)
    leased_at = time.monotonic()
    again = receive_some(driver, "s", LEASE_S + DELIVERED_WITHIN_S)
    check(time.monotonic() - leased_at > LEASE_S - 1, "redelivered before the lease was over")
    check(bodies(first) == bodies(again) == ["0", "1", "2"][:len(first)], f"{bodies(first)}, then {bodies(again)}")
    check([m.attempt for m in again] == [m.attempt + 1 for m in first], f"the attempts were {again} after {first}")
    driver.ack("s", again)
    received = again
    while len(received) < 3:
        more = receive_some(driver, "s", DELIVERED_WITHIN_S)
        driver.ack("s", more)
        received = received + more
    check(bodies(received) == ["0", "1", "2"], f"came as {bodies(received)}")
    send_round_robin(driver, topic, ["session-1"], ["next"])
    check(bodies(receive_some(driver, "s", DELIVERED_WITHIN_S)) == ["next"], "acked messages came back")


def messages_that_fail_are_tried_again(w):
    """A listener that fails gets the message again, with a higher attempt, and then the next ones."""
    topic = w.topic()
    group = w.group(topic, ordered=False)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group, listener="fail-first")
    driver.subscribe("c", "flaky")
    for body in ("first", "second"):
        send_round_robin(driver, topic, ["flaky"], [body])
        seen = driver.wait_for(f"{body} twice", lambda seen: bodies(seen).count(body) >= 2, w.delivery_s + RETRY_S)
        attempts = [m.attempt for m in seen if m.body == body]
        check(attempts == [1, 2], f"the attempts of {body} were {attempts}")


def messages_of_a_killed_consumer_go_to_another(w):
    """A consumer process dies with a message in its hands; the next one gets all, in order."""
    topic = w.topic()
    group = w.group(topic)
    victim, heir = w.driver(), w.driver()
    heir.producer(topic)
    send_round_robin(heir, topic, ["job"], range(3))
    victim.push("c", topic, group, listener="hold")
    victim.subscribe("c", "job")
    held = victim.wait_for("a message to hold", lambda seen: seen, w.delivery_s)[0]
    victim.kill()
    heir.push("c", topic, group)
    heir.subscribe("c", "job")
    seen = heir.wait_for("3 messages", lambda seen: len(seen) >= 3, KILLED_CONSUMER_S)
    check(bodies(seen) == ["0", "1", "2"], f"came as {bodies(seen)}")
    check(seen[0].attempt >= held.attempt, f"attempt {seen[0].attempt} after attempt {held.attempt}")


def loses_nothing_when_the_broker_is_killed(w):
    """kill -9 and a restart: every message whose send was answered OK arrives, in order, and nobody reconnects by hand."""
    broker = w.own_broker()
    topic = w.topic(broker)
    group = w.group(topic, broker=broker)
    lites = ["chat-1", "chat-2", "chat-3"]
    producer, consumer = w.driver(broker), w.driver(broker)
    producer.producer(topic)
    consumer.push("c", topic, group)
    consumer.subscribe("c", *lites)
    send_round_robin(producer, topic, lites, ["hello"])
    consumer.wait_for("the subscription", lambda seen: len(seen) >= 3, w.delivery_s)

    def crash_and_restart():
        broker.kill9()
        broker.start()

    restarted = None
    for n in range(60):
        if n == 20:
            restarted = in_background(crash_and_restart)
        send_until_ok(producer, topic, lites[n % 3], str(n))
    restarted()
    seen = consumer.wait_for("all 60", lambda seen: len({m.body for m in seen}) >= 61, CRASH_RECOVERY_S)
    for place, lite in enumerate(lites):
        # Whoever repeats an unanswered send may store it twice, and a lost ack delivers twice.
        expected = ["hello", *(str(n) for n in range(place, 60, 3))]
        check(first_arrivals(seen, lite) == expected, f"{lite} came as {bodies(seen, lite)}")


def send_until_ok(driver, topic, lite, body):
    deadline = time.monotonic() + CRASH_RECOVERY_S
    while True:
        try:
            return driver.send(topic, lite, body)
        except SdkError as error:
            check(time.monotonic() < deadline, f"sends still fail: {error}")


def works_on_one_lite_topic_side_by_side(w):
    """In a group without order a message that takes long holds up none of those behind it."""
    topic = w.topic()
    group = w.group(topic, ordered=False)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group, listener="obey")
    driver.subscribe("c", "s")
    send_round_robin(driver, topic, ["s"], ["hold", 1, 2, 3])
    seen = driver.wait_for("4 messages", lambda seen: len(seen) >= 4, w.delivery_s)
    check(sorted(bodies(seen)) == ["1", "2", "3", "hold"], f"came as {bodies(seen)}")
    state = w.broker.group_in(topic, "s", group)
    check(state["committed_offset"] == 0, f"the message that is worked on is settled: {state}")


def keeps_to_the_consume_rate_of_a_group(w):
    """Messages of one lite topic come no faster than the group's rate, and all of them come."""
    topic = w.topic()
    group = w.group(topic, options=("--consume-rate", str(RATE)))
    driver = w.driver()
    driver.producer(topic)
    # A second's worth may come at once.
    send_round_robin(driver, topic, ["s"], range(4 * RATE))
    driver.push("c", topic, group)
    subscribed_at = time.monotonic()
    driver.subscribe("c", "s")
    seen = driver.wait_for("all", lambda seen: len(seen) >= 4 * RATE, w.delivery_s)
    took_s = time.monotonic() - subscribed_at
    check(bodies(seen) == [str(n) for n in range(4 * RATE)], f"came as {bodies(seen)}")
    check(took_s > 2.5, f"{4 * RATE} messages came within {took_s:.1f} s at {RATE} a second")
