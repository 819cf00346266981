"""What is refused, and what the user of an SDK reads then."""

import time

from ..world import bodies, check
from .steps import error_of, subscribe_when_settings_are_there

REFUSED_WITHIN_S = 30  # with the start of a process on a busy machine
ILLEGAL_LITE_TOPIC = "40020"


def says_what_is_wrong_with_a_lite_name(w):
    """A bad lite name is refused with the code for it and a text that names the allowed characters."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    for what, call in (
        ("send", lambda: driver.send(topic, "chat/42", "hello")),
        ("subscribe", lambda: driver.subscribe("c", "chat/42")),
    ):
        text = error_of(what, call)
        check(ILLEGAL_LITE_TOPIC in text, f"{what}: no {ILLEGAL_LITE_TOPIC} in: {text}")
        check(all(word in text for word in ("_", "-")) and ("letters" in text or "a-z" in text),
              f"{what}: the allowed characters are not named in: {text}")
    driver.send(topic, "chat-42", "hello")


def serves_who_has_the_right_and_nobody_else(w):
    """A user sends and consumes what it has the right to; elsewhere, and with a wrong secret, it hears why not."""
    broker = w.own_broker(is_guarded=True)
    topic = w.topic(broker)
    group = w.group(topic, broker=broker)
    secret = broker.create_user("tenant")
    # One letter, again and again: a SDK that sends the letters of a name sends names with the same right.
    broker.allow("tenant", "publish,subscribe", f"lite:{topic}/a*")
    broker.allow("tenant", "subscribe", f"group:{group}")
    driver = w.driver(broker, ("tenant", secret))
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "aaa")
    for body in ("1", "2"):
        driver.send(topic, "aaa", body)
    seen = driver.wait_for("2 messages", lambda seen: len(seen) >= 2, w.delivery_s)
    check(bodies(seen, "aaa") == ["1", "2"], f"aaa came as {bodies(seen, 'aaa')}")
    for what, call in (
        ("sending to another tenant", lambda: driver.send(topic, "bbb", "3")),
        ("subscribing to another tenant", lambda: driver.subscribe("c", "bbb")),
    ):
        text = error_of(what, call)
        check("user 'tenant' may not" in text, f"{what}: the missing right is not named in: {text}")

    for access_key, wrong in (("tenant", "not-the-secret"), ("nobody", secret), ("", "")):
        stranger = w.driver(broker, (access_key, wrong))

        def send():
            stranger.producer(topic)
            stranger.send(topic, "aaa", "4")

        text = error_of(f"user '{access_key}'", send)
        expected = ["route"] if w.sdk.hides_route_errors else ["access key", "secret"]
        check(all(word in text for word in expected), f"user '{access_key}': the reason is not in: {text}")
    there = broker.lite_names(topic)
    check(there == ["aaa"], f"what was refused must leave nothing; there are {there}")


def says_what_is_wrong_with_a_group(w):
    """A group that is unknown or bound elsewhere is an error at start or at the first subscribe, not silence."""
    topic, elsewhere = w.topic(), w.topic()
    bound_elsewhere = w.group(elsewhere)

    def push(group):
        driver = w.driver()
        driver.push("c", topic, group)
        driver.subscribe("c", "a-1")

    def simple(group):
        driver = w.driver()
        driver.simple("s", topic, group)
        subscribe_when_settings_are_there(driver, "s", "a-1")

    for join in (push, simple) if w.sdk.has_simple_consumer else (push,):
        for group in ("group-nobody-made", bound_elsewhere):
            asked_at = time.monotonic()
            text = error_of(f"joining {group}", lambda: join(group))
            check(group in text, f"the group {group} is not named in: {text}")
            check(time.monotonic() - asked_at < REFUSED_WITHIN_S, f"it took too long to hear: {text}")
