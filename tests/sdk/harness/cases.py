"""The cases. Each is one promise to a user of an SDK, told once for all languages."""

import sys
import threading
import time
from pathlib import Path

from .driver import CaseFailed, SdkError
from .world import DELIVERED_WITHIN_S, bodies, check, first_arrivals

RETRY_S = 30  # after which a failed message is certainly due again
LEASE_S = 10  # the shortest that the protocol allows
RECEIVE_MAX = 10  # messages that a simple consumer asks for at once
# A killed push consumer keeps its lease of 60 s, and its session may outlive it for a while.
KILLED_CONSUMER_S = 120
CRASH_RECOVERY_S = 120
REFUSED_WITHIN_S = 30  # with the start of a process on a busy machine
ILLEGAL_LITE_TOPIC = "40020"
# The published examples have port 8080 in their code, so each suite that runs them has a loopback address of its own.
PUBLISHED_EXAMPLE_NETS = {"java-5.1.0": 51, "java-5.2.0": 52}


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
    driver.push("c", topic, group, listener="fail")
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


def runs_the_sample_programs(w):
    """The programs that users are shown, with endpoint, topic and group as their arguments."""
    topic = w.topic()
    group = w.group(topic)
    address = w.broker.endpoint
    _, output = w.program("samples.LitePushConsumerSample", address, topic, group)
    wait_for_line(output, "Subscribed=", DELIVERED_WITHIN_S)
    wait_for_line(output, "lite-topic-1, lite-topic-2]", DELIVERED_WITHIN_S, or_text="lite-topic-2, lite-topic-1]")
    producer, sent = w.program("samples.LiteProducerSample", address, topic)
    check(producer.wait(timeout=DELIVERED_WITHIN_S) == 0, f"the producer failed, see {sent}")
    wait_for_line(sent, "Send message successfully", 0)
    wait_for_line(output, "Consume message=lite-topic-1:messageBody", DELIVERED_WITHIN_S)


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
    wait_for_line(consumed, "SubscribeLite lite-topic-3", DELIVERED_WITHIN_S)
    _, sent = w.program(f"{package}.LiteProducerExample", flags=flags)
    wait_for_line(sent, "Send message successfully", DELIVERED_WITHIN_S)
    wait_for_line(consumed, "Consume message=", DELIVERED_WITHIN_S)


def send_round_robin(driver, topic, lites, contents):
    for body in contents:
        for lite in lites:
            driver.send(topic, lite, str(body))


def send_until_ok(driver, topic, lite, body):
    deadline = time.monotonic() + CRASH_RECOVERY_S
    while True:
        try:
            return driver.send(topic, lite, body)
        except SdkError as error:
            check(time.monotonic() < deadline, f"sends still fail: {error}")


def receive_some(driver, consumer, within_s):
    """Polls until a poll has messages, for the polls of a simple consumer are allowed to be empty."""
    deadline = time.monotonic() + within_s
    while True:
        received = driver.receive(consumer, RECEIVE_MAX, LEASE_S)
        if received:
            return received
        check(time.monotonic() < deadline, f"no message came within {within_s} s")


def subscribe_when_settings_are_there(driver, consumer, lite):
    """A simple consumer does not wait for the broker's settings at start; until then its quota is 0."""
    deadline = time.monotonic() + DELIVERED_WITHIN_S
    while True:
        try:
            return driver.subscribe(consumer, lite)
        except SdkError as error:
            if "quota: 0" not in str(error) or time.monotonic() > deadline:
                raise


def check_subscriptions(w, driver, expected):
    if w.sdk.tells_subscriptions:
        got = driver.subscriptions("c")
        check(got == expected, f"the SDK says it is subscribed to {got}")


def error_of(what, call):
    try:
        call()
    except SdkError as error:
        return str(error)
    raise CaseFailed(f"{what} was not refused")


def in_background(call, *arguments):
    """Runs the call in a thread; the returned function waits for its end and raises its error."""
    failures = []

    def run():
        try:
            call(*arguments)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join()
        if failures:
            raise failures[0]

    return join


def wait_for_line(path, text, within_s, or_text=None):
    deadline = time.monotonic() + within_s
    while True:
        content = Path(path).read_text(errors="replace")
        if text in content or (or_text and or_text in content):
            return
        check(time.monotonic() <= deadline, f"'{text}' not in {path} within {within_s} s")
        time.sleep(0.05)


def cases_of(sdk):
    """The cases of one SDK: the long ones first, so that the short ones fill the gaps."""
    cases = [
        messages_of_a_killed_consumer_go_to_another,
        loses_nothing_when_the_broker_is_killed,
        acked_messages_stay_acked,
        unacked_messages_return_after_the_lease,
        hands_a_session_over_without_loss,
        messages_that_fail_are_tried_again,
        subscribes_and_unsubscribes_at_run_time,
        sends_and_receives_in_order,
        says_what_is_wrong_with_a_group,
        serves_who_has_the_right_and_nobody_else,
        says_what_is_wrong_with_a_lite_name,
        runs_the_published_examples,
        runs_the_sample_programs,
    ]
    if not sdk.has_simple_consumer:
        cases.remove(unacked_messages_return_after_the_lease)
    if not sdk.has_samples:
        cases.remove(runs_the_sample_programs)
    if not sdk.has_samples or sys.platform != "linux":  # elsewhere loopback is one address
        cases.remove(runs_the_published_examples)
    return cases
