"""What becomes of a message: acked, failed, suspended, dead."""

from ..world import DELIVERED_WITHIN_S, bodies, check, until
from .steps import LEASE_S, RETRY_S, receive_some, send_round_robin, subscribe_when_settings_are_there

NACK_S = 1


def suspended_messages_come_again_and_count_no_attempt(w):
    """A suspended message comes again first and with the same attempt; other lite topics go on meanwhile."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group, listener="obey")
    driver.subscribe("c", "s", "o")
    send_round_robin(driver, topic, ["s"], ["suspend", "1", "2"])
    driver.wait_for("the suspended message", lambda seen: bodies(seen) == ["suspend"], w.delivery_s)
    send_round_robin(driver, topic, ["o"], ["other"])
    seen = driver.wait_for("all", lambda seen: "2" in bodies(seen), w.delivery_s + RETRY_S)
    check(bodies(seen) == ["suspend", "other", "suspend", "1", "2"], f"came as {bodies(seen)}")
    check({m.attempt for m in seen} == {1}, f"the attempts were {[m.attempt for m in seen]}")


def messages_that_always_fail_become_dead_letters(w):
    """After its attempts a message is a dead letter that tells where it came from, and the next one comes. Sent again, it
    is there, in its lite topic."""
    topic = w.topic()
    group = w.group(topic, options=("--max-attempts", "2", "--backoff", "1s"))
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group, listener="obey")
    driver.subscribe("c", "s")
    failing = driver.send(topic, "s", "fail")
    driver.send(topic, "s", "next")
    seen = driver.wait_for("3 messages", lambda seen: len(seen) >= 3, w.delivery_s + RETRY_S)
    expected = ["fail", "next", "fail"] if w.sdk.passes_failed else ["fail", "fail", "next"]
    check(bodies(seen) == expected, f"came as {seen}")
    until("a dead letter", lambda: w.broker.dead_letters(group, "s"), DELIVERED_WITHIN_S)
    check_dead_letter(w, group, topic, failing)
    driver.unsubscribe("c", "s")
    driver.push("mended", topic, group)
    driver.subscribe("mended", "s")
    w.broker.resend_dead_letters(group, "s")
    again = driver.wait_for("the letter", lambda seen: seen, w.delivery_s, consumer="mended")
    got = [(m.lite, m.body, m.attempt) for m in again]
    check(got == [("s", "fail", 1)], f"the letter came as {again}")
    events = [event["event"] for event in w.broker.trace(topic, "s", failing)]
    check("DEAD_LETTERED" in events and events.count("STORED") == 2, f"its trace is {events}")


def nacks_of_a_simple_consumer_count_up_to_the_dead_letters(w):
    """A simple consumer gets several messages of one lite topic at once; what it nacks counts attempts up to the end."""
    topic = w.topic()
    group = w.group(topic, ordered=False, options=("--max-attempts", "3"))
    driver = w.driver()
    driver.producer(topic)
    sent = [driver.send(topic, "s", body) for body in ("0", "1", "2")]
    driver.simple("c", topic, group)
    subscribe_when_settings_are_there(driver, "c", "s")
    received = receive_some(driver, "c", w.delivery_s)
    check(bodies(received) == ["0", "1", "2"], f"came as {bodies(received)}")
    driver.ack("c", [m for m in received if m.body != "1"])
    for attempt in (1, 2, 3):
        held = [m for m in received if m.body == "1"]
        check([m.attempt for m in held] == [attempt], f"attempt {attempt} came as {received}")
        driver.nack("c", held, NACK_S)
        if attempt < 3:
            received = receive_some(driver, "c", LEASE_S + DELIVERED_WITHIN_S)
    # Its last lease has to end, and the next receive of the group finds it used up.
    until("a dead letter", lambda: not driver.receive("c", 1, LEASE_S) and w.broker.dead_letters(group, "s"),
          LEASE_S + DELIVERED_WITHIN_S)
    letter = check_dead_letter(w, group, topic, sent[1])
    check(letter["attempts"] == 3, f"the dead letter is {letter}")
    driver.send(topic, "s", "next")
    check(bodies(receive_some(driver, "c", DELIVERED_WITHIN_S)) == ["next"], "the next message did not come alone")


def what_became_of_a_message_can_be_asked(w):
    """Its trace tells who sent it, who got it and what came of it; until it is settled it is in the group's numbers."""
    topic = w.topic()
    group = w.group(topic)
    driver = w.driver()
    driver.producer(topic)
    driver.push("c", topic, group, listener="obey")
    driver.subscribe("c", "s")
    asked_for = driver.send(topic, "s", "ack")
    driver.wait_for("it", lambda seen: seen, w.delivery_s)
    w.broker.wait_for_settled(topic, "s", group, 1)
    driver.send(topic, "s", "hold")
    driver.wait_for("one to hold", lambda seen: len(seen) == 2, DELIVERED_WITHIN_S)
    state = w.broker.group_in(topic, "s", group)
    check(state["in_flight"] + state["ready"] == 1, f"while one is worked on, the group is {state}")
    events = w.broker.trace(topic, "s", asked_for)
    check([event["event"] for event in events] == ["STORED", "DELIVERED", "ACKED"], f"the trace is {events}")
    sender, receiver, acker = (event["client"] for event in events)
    check(state["subscribers"] == [receiver] == [acker] != [sender], f"of {state['subscribers']} the trace is {events}")


def check_dead_letter(w, group, topic, message_id):
    """The only letter of lite topic `s` is this message; where it came from."""
    letters = w.broker.dead_letters(group, "s")
    origins = [(letter["dead_letter"]["topic"], letter["dead_letter"]["message_id"]) for letter in letters]
    check(origins == [(topic, message_id)], f"the dead letters are {letters}")
    return letters[0]["dead_letter"]
