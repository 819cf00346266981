"""How much there may be: lite topics of a parent, subscriptions of a client."""

import re

from ..world import DELIVERED_WITHIN_S, bodies, check, until
from .steps import FULL_SYNC_S, error_of, send_round_robin

# The class of the error where the SDK has one for it, else the broker's code.
LITE_TOPIC_QUOTA = re.compile("LiteTopicQuotaExceeded|42901")
SUBSCRIPTION_QUOTA = re.compile("LiteSubscriptionQuotaExceeded|Lite subscription quota exceeded|42902")


def no_send_goes_over_the_quota_of_lite_topics(w):
    """A send that would make one lite topic too many is refused with an error of its own; the others go on."""
    topic = w.topic(options=("--lite-topic-quota", "2"))
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "a", "b", "d")
    send_round_robin(driver, topic, ["a", "b"], ["1"])
    text = error_of("the third lite topic", lambda: driver.send(topic, "d", "1"))
    check(LITE_TOPIC_QUOTA.search(text), f"the quota is not named in: {text}")
    send_round_robin(driver, topic, ["a", "b"], ["2"])
    w.broker.update_topic(topic, "--lite-topic-quota", "3")
    send_round_robin(driver, topic, ["d"], ["2"])
    seen = driver.wait_for("5 messages", lambda seen: len(seen) >= 5, w.delivery_s)
    got = {lite: bodies(seen, lite) for lite in ("a", "b", "d")}
    check(got == {"a": ["1", "2"], "b": ["1", "2"], "d": ["2"]}, f"came as {got}")


def no_subscription_goes_over_the_quota_of_a_client(w):
    """One lite topic too many is refused with an error of its own; a place that is given up can be taken, and the quota changed."""
    topic = w.topic()
    group = w.group(topic, options=("--client-quota", "2"))
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "a", "b")
    text = error_of("the third subscription", lambda: driver.subscribe("c", "d"))
    check(SUBSCRIPTION_QUOTA.search(text), f"the quota is not named in: {text}")
    send_round_robin(driver, topic, ["a", "b", "d", "e"], ["1"])
    driver.wait_for("2 messages", lambda seen: len(seen) >= 2, w.delivery_s)
    driver.unsubscribe("c", "a")
    driver.subscribe("c", "d")
    driver.wait_for("the third", lambda seen: bodies(seen, "d") == ["1"], w.delivery_s)
    w.broker.update_group(group, "--client-quota", "3")
    driver.push("later", topic, group)  # an SDK hears of another quota with its next settings: at once when it starts
    driver.subscribe("later", "b", "d", "e")
    seen = driver.wait_for("the fourth", lambda seen: bodies(seen, "e") == ["1"], w.delivery_s)
    check(len(seen) == 4, f"came as {seen}")


def a_full_sync_over_the_quota_changes_nothing(w):
    """Where a client's whole set is more than it may have, the set is refused as a whole, and the one before goes on.

    An SDK that sends letters as names brings new names with its full sync, although it has checked its quota itself.
    """
    broker = w.own_broker()  # whose errors are those of this case
    topic = w.topic(broker)
    group = w.group(topic, broker=broker, options=("--client-quota", "4"))
    driver = w.driver(broker)
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "ab", "de")
    broker.update_group(group, "--client-quota", "1")
    until("a refusal", lambda: broker.metric("litemq_errors_total") >= 1, FULL_SYNC_S)
    send_round_robin(driver, topic, ["ab", "a", "b", "d", "e"], ["1"])
    seen = driver.wait_for("the set before", lambda seen: len(seen) >= 4, DELIVERED_WITHIN_S)
    check(sorted(m.lite for m in seen) == ["a", "b", "d", "e"], f"came as {seen}")
    broker.update_group(group, "--client-quota", "2")
    seen = driver.wait_for("the set that fits", lambda seen: bodies(seen, "ab") == ["1"], FULL_SYNC_S)
    check(len(seen) == 5, f"came as {seen}")
