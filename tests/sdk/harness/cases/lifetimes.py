"""How long lite topics live."""

from ..world import DELIVERED_WITHIN_S, bodies, check, until
from .steps import send_round_robin

SHORTEST_TTL_S = 60
REMOVED_WITHIN_S = 5  # of the end of its life


def an_expired_lite_topic_is_gone_and_its_next_life_starts_anew(w):
    """Its name, messages and subscriptions end with it, and the client is told; a later send makes a new one."""
    topic = w.topic(options=("--ttl", "1m"))
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group)
    driver.subscribe("c", "s")
    send_round_robin(driver, topic, ["s"], ["0", "1"])
    driver.wait_for("2 messages", lambda seen: len(seen) >= 2, w.delivery_s)
    until("its end", lambda: w.broker.lite_names(topic) == [], SHORTEST_TTL_S + REMOVED_WITHIN_S + DELIVERED_WITHIN_S)
    if w.sdk.tells_subscriptions and w.sdk.obeys_notices:
        until("an empty set", lambda: driver.subscriptions("c") == [], DELIVERED_WITHIN_S)
    driver.send(topic, "s", "2")
    life = w.broker.lite(topic, "s")
    check((life["first_offset"], life["next_offset"]) == (0, 1), f"the next life is {life}")
    driver.unsubscribe("c", "s")  # for SDKs that still think they are subscribed
    driver.subscribe("c", "s")
    seen = driver.wait_for("the message of the next life", lambda seen: len(seen) >= 3, w.delivery_s)
    check(bodies(seen) == ["0", "1", "2"] and seen[2].attempt == 1, f"came as {seen}")


def the_first_send_may_set_the_time_to_live(w):
    """The property `litemq.ttl` of the message that makes a lite topic is its time to live in minutes."""
    topic = w.topic()
    driver = w.driver()
    driver.producer(topic)
    driver.send(topic, "s", "first", "litemq.ttl=45")
    driver.send(topic, "s", "second", "litemq.ttl=120")
    driver.send(topic, "o", "first")
    lives = [w.broker.lite(topic, lite) for lite in ("s", "o")]
    got = [(life["ttl"], life["own_ttl"]) for life in lives]
    check(got == [("45m", True), ("30m", False)], f"the times to live are {got}")
