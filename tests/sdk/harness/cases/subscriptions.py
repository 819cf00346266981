"""Who gets what: subscriptions, and where they start.

Names of one letter reach the broker from every SDK as they are, also from Python 5.1.2.
"""

from datetime import datetime

from ..world import DELIVERED_WITHIN_S, bodies, check, until
from .steps import FULL_SYNC_S, check_subscriptions, error_of, in_background, send_round_robin


def subscribes_and_unsubscribes_at_run_time(w):
    """An unsubscribed lite topic is silent; subscribed again it goes on where it was."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "a-1", "b-1")
    check_subscriptions(w, driver, ["a-1", "b-1"])
    send_round_robin(driver, topic, ["a-1", "b-1"], ["first"])
    driver.wait_for("one message each", lambda seen: len(seen) >= 2, w.delivery_s)
    driver.unsubscribe("c", "a-1")
    check_subscriptions(w, driver, ["b-1"])
    send_round_robin(driver, topic, ["a-1", "b-1"], ["second"])
    seen = driver.wait_for("b-1", lambda seen: bodies(seen, "b-1") == ["first", "second"], DELIVERED_WITHIN_S)
    check(bodies(seen, "a-1") == ["first"], "a message came from an unsubscribed lite topic")
    driver.subscribe("c", "a-1")
    driver.wait_for("a-1 again", lambda seen: bodies(seen, "a-1") == ["first", "second"], w.delivery_s)


def hands_a_session_over_without_loss(w):
    """One consumer lets go of a session while messages flow, another takes it; nothing is lost or reordered."""
    topic = w.topic()
    group = w.group(topic)
    producer, consumers = w.driver(), w.driver()
    producer.producer(topic)
    consumers.push("old", topic, group)
    consumers.push("new", topic, group)
    consumers.subscribe("old", "session-7")
    send_round_robin(producer, topic, ["session-7"], range(10))
    consumers.wait_for("10 messages", lambda seen: len(seen) >= 10, w.delivery_s, consumer="old")
    sending = in_background(send_round_robin, producer, topic, ["session-7"], range(10, 30))
    consumers.unsubscribe("old", "session-7")
    consumers.subscribe("new", "session-7")
    sending()
    send_round_robin(producer, topic, ["session-7"], range(30, 40))
    seen = consumers.wait_for("40 messages", lambda seen: len(seen) >= 40, w.delivery_s)
    check(bodies(seen) == [str(n) for n in range(40)], f"came as {[(m.consumer, m.body) for m in seen]}")
    check("new" in {m.consumer for m in seen}, "the new consumer got nothing")


def the_newest_subscriber_owns_a_lite_topic(w):
    """In an exclusive group the old owner gets nothing from the moment that another subscribes, and takes nothing back
    with its full sync."""
    broker = w.own_broker()  # whose notices are those of this case
    topic = w.topic(broker)
    group = w.group(topic, broker=broker, options=("--mode", "exclusive"))
    driver = w.driver(broker)
    driver.producer(topic)
    driver.push("old", topic, group)
    driver.push("new", topic, group)
    driver.subscribe("old", "s")
    send_round_robin(driver, topic, ["s"], range(3))
    driver.wait_for("3 messages", lambda seen: len(seen) >= 3, w.delivery_s, consumer="old")
    broker.wait_for_settled(topic, "s", group, 3)
    driver.subscribe("new", "s")
    send_round_robin(driver, topic, ["s"], range(3, 6))
    driver.wait_for("3 messages", lambda seen: len(seen) >= 3, w.delivery_s, consumer="new")
    # Who obeys the first notice no longer names the lite topic; who does not hears it again at its full sync.
    notices = 1 if w.sdk.obeys_notices else 2
    until("a notice", lambda: broker.metric("litemq_notices_total") >= notices, FULL_SYNC_S)
    if w.sdk.obeys_notices and w.sdk.tells_subscriptions:
        until("an empty set", lambda: driver.subscriptions("old") == [], DELIVERED_WITHIN_S)
    send_round_robin(driver, topic, ["s"], range(6, 9))
    driver.wait_for("6 messages", lambda seen: len(seen) >= 6, DELIVERED_WITHIN_S, consumer="new")
    broker.wait_for_settled(topic, "s", group, 9)
    driver.unsubscribe("old", "s")
    driver.subscribe("old", "s")
    send_round_robin(driver, topic, ["s"], range(9, 12))
    driver.wait_for("3 more", lambda seen: len(seen) >= 6, w.delivery_s, consumer="old")
    old, new = bodies(driver.messages("old")), bodies(driver.messages("new"))
    check(old == ["0", "1", "2", "9", "10", "11"], f"the old owner got {old}")
    check(new == ["3", "4", "5", "6", "7", "8"], f"the new owner got {new}")


def a_take_over_may_start_anew(w):
    """With `--reset-on-takeover` a new owner gets the whole lite topic."""
    topic = w.topic()
    group = w.group(topic, options=("--mode", "exclusive", "--reset-on-takeover", "true"))
    driver = w.driver()
    driver.producer(topic)
    driver.push("old", topic, group)
    driver.push("new", topic, group)
    driver.subscribe("old", "s")
    send_round_robin(driver, topic, ["s"], range(3))
    driver.wait_for("3 messages", lambda seen: len(seen) >= 3, w.delivery_s, consumer="old")
    w.broker.wait_for_settled(topic, "s", group, 3)
    driver.subscribe("new", "s")
    send_round_robin(driver, topic, ["s"], ["3"])
    seen = driver.wait_for("4 messages", lambda seen: len(seen) >= 4, w.delivery_s, consumer="new")
    check(bodies(seen) == ["0", "1", "2", "3"], f"the new owner got {bodies(seen)}")


def an_unsubscribe_may_start_anew(w):
    """With `--reset-on-unsubscribe` a lite topic that is subscribed to again comes from its oldest message on."""
    topic = w.topic()
    group = w.group(topic, options=("--reset-on-unsubscribe", "true"))
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "s")
    send_round_robin(driver, topic, ["s"], range(3))
    driver.wait_for("3 messages", lambda seen: len(seen) >= 3, w.delivery_s)
    w.broker.wait_for_settled(topic, "s", group, 3)
    driver.unsubscribe("c", "s")
    driver.subscribe("c", "s")
    seen = driver.wait_for("them again", lambda seen: len(seen) >= 6, w.delivery_s)
    check(bodies(seen) == ["0", "1", "2"] * 2, f"came as {bodies(seen)}")


def starts_where_the_offset_option_says(w):
    """MIN replays, MAX skips, LAST goes on; an offset, the newest n and a moment are kept to the message."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    consumed, unread = ["c", "m", "o", "t", "w"], ["u", "v", "x"]
    driver.subscribe("c", *consumed)
    send_round_robin(driver, topic, consumed + unread, range(10))
    driver.wait_for("10 messages each", lambda seen: len(seen) >= 50, w.delivery_s)
    for lite in consumed:
        w.broker.wait_for_settled(topic, lite, group, 10)
        driver.unsubscribe("c", lite)
    stored_ms = [_epoch_ms(message["stored_at"]) for message in w.broker.peek(topic, "w")]
    cases = {
        "c": (("last",), range(10, 10)),
        "m": (("min",), range(10)),
        "o": (("offset", "7"), range(7, 10)),
        "t": (("tail", "3"), range(7, 10)),
        "w": (("time", str(stored_ms[6])), [n for n in range(10) if stored_ms[n] >= stored_ms[6]]),
        "u": (("last",), range(10)),
        "v": (("max",), range(10, 10)),
        "x": (("offset", "7"), range(7, 10)),
    }
    for lite, (option, _) in cases.items():
        driver.subscribe_from("c", lite, *option)
    send_round_robin(driver, topic, cases, ["new"])
    before = {lite: 10 if lite in consumed else 0 for lite in cases}
    seen = driver.wait_for("the new ones", lambda seen: bodies(seen).count("new") >= len(cases), w.delivery_s)
    for lite, (option, expected) in cases.items():
        got = bodies(seen, lite)[before[lite]:]
        check(got == [str(n) for n in expected] + ["new"], f"{' '.join(option)}: {lite} came as {got}")


def a_wildcard_group_gets_every_lite_topic(w):
    """Without a subscription its clients get all lite topics of the parent, or those with a prefix, new ones at once."""
    topic = w.topic()
    whole = w.group(topic, options=("--mode", "wildcard"))
    part = w.group(topic, options=("--mode", "wildcard", "--pattern", "a-*"))
    driver = w.driver()
    driver.producer(topic)
    send_round_robin(driver, topic, ["a-1", "b-1"], ["before"])
    driver.push("whole", topic, whole)
    driver.push("part", topic, part)
    driver.wait_for("what is there", lambda seen: len(seen) >= 3, DELIVERED_WITHIN_S)
    send_round_robin(driver, topic, ["b-1", "b-2", "a-1", "a-2"], ["after", "last"])
    seen = driver.wait_for("all lite topics", lambda seen: len(seen) >= 10, DELIVERED_WITHIN_S, consumer="whole")
    some = driver.wait_for("those with the prefix", lambda seen: len(seen) >= 5, DELIVERED_WITHIN_S, consumer="part")
    expected = {"a-1": ["before", "after", "last"], "a-2": ["after", "last"]}
    check(_by_lite(some) == expected, f"the group with a prefix got {_by_lite(some)}")
    expected.update({"b-1": expected["a-1"], "b-2": expected["a-2"]})
    check(_by_lite(seen) == expected, f"the group got {_by_lite(seen)}")
    text = error_of("subscribing", lambda: driver.subscribe("whole", "s"))
    check("wildcard" in text.lower(), f"the mode of the group is not named in: {text}")


def goes_on_where_an_administrator_says(w):
    """A reset of a group reaches its running consumers: what it goes back to is delivered again, what it skips is not."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "s")
    send_round_robin(driver, topic, ["s"], range(5))
    driver.wait_for("5 messages", lambda seen: len(seen) >= 5, w.delivery_s)
    w.broker.wait_for_settled(topic, "s", group, 5)
    w.broker.reset_group(group, "--lite", "s", "--offset", "2")
    seen = driver.wait_for("3 of them again", lambda seen: len(seen) >= 8, DELIVERED_WITHIN_S)
    w.broker.wait_for_settled(topic, "s", group, 5)
    driver.unsubscribe("c", "s")
    send_round_robin(driver, topic, ["s"], ["skipped"])
    w.broker.reset_group(group, "--to", "newest")
    driver.subscribe("c", "s")
    send_round_robin(driver, topic, ["s"], ["next"])
    seen = driver.wait_for("the next", lambda seen: "next" in bodies(seen), w.delivery_s)
    check(bodies(seen) == ["0", "1", "2", "3", "4", "2", "3", "4", "next"], f"came as {bodies(seen)}")


def hears_that_an_administrator_ended_a_subscription(w):
    """A client that an administrator unsubscribed drops the name, gets nothing of it, and may subscribe again."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "s", "k")
    send_round_robin(driver, topic, ["s", "k"], ["1"])
    driver.wait_for("2 messages", lambda seen: len(seen) >= 2, w.delivery_s)
    w.broker.wait_for_settled(topic, "s", group, 1)
    client, = w.broker.group_in(topic, "s", group)["subscribers"]
    w.broker.end_subscription(group, client, "s")
    if w.sdk.tells_subscriptions:
        until("the set without it", lambda: driver.subscriptions("c") == ["k"], DELIVERED_WITHIN_S)
    send_round_robin(driver, topic, ["s", "k"], ["2"])
    seen = driver.wait_for("the other lite topic", lambda seen: bodies(seen, "k") == ["1", "2"], DELIVERED_WITHIN_S)
    check(bodies(seen, "s") == ["1"], f"the ended subscription brought {bodies(seen, 's')}")
    driver.subscribe("c", "s")
    driver.wait_for("it again", lambda seen: bodies(seen, "s") == ["1", "2"], w.delivery_s)


def _by_lite(messages):
    return {lite: bodies(messages, lite) for lite in {m.lite for m in messages}}


def _epoch_ms(text):
    """Of an RFC 3339 text in UTC with milliseconds."""
    moment = datetime.strptime(text.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S.%f%z")
    return round(moment.timestamp() * 1000)
