"""Steps that several cases have in common."""

import threading
import time

from ..driver import CaseFailed, SdkError
from ..world import DELIVERED_WITHIN_S, check

RETRY_S = 30  # after which a failed message is certainly due again
LEASE_S = 10  # the shortest that the protocol allows
FULL_SYNC_S = 45  # after which each SDK has named all its lite topics to the broker; they do it every 30 s
RECEIVE_MAX = 10  # messages that a simple consumer asks for at once


def send_round_robin(driver, topic, lites, contents):
    for body in contents:
        for lite in lites:
            driver.send(topic, lite, str(body))


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
