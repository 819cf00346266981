"""A process that hosts clients of one SDK and does what it is told, one line at a time.

The protocol is in the README. Lines that do not start with `@` are the SDK's own chatter.
"""

import queue
import subprocess
import threading
import time
from dataclasses import dataclass

from . import processes

READY_WITHIN_S = 60
ANSWER_WITHIN_S = 40
CLOSE_WITHIN_S = 60  # most SDKs finish a long poll of up to 20 s before they close


class CaseFailed(AssertionError):
    """The broker or the SDK did something else than the case expects."""


class SdkError(Exception):
    """The error that the SDK gave its user, in words."""


@dataclass(frozen=True)
class Message:
    consumer: str
    lite: str
    body: str
    attempt: int
    message_id: str


class Driver:
    def __init__(self, command, environment, log_path):
        self._log_path = log_path
        self._log = open(log_path, "ab")
        self._process = processes.start(
            command, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )
        self._answers = queue.Queue()
        self._messages = []
        self._changed = threading.Condition()
        self._one_call = threading.Lock()
        self._sequence = 0
        threading.Thread(target=self._read, daemon=True).start()
        self._expect("ready", READY_WITHIN_S)

    def producer(self, topic):
        self._call("producer", topic)

    def send(self, topic, lite, body, *properties):
        """Sends a message with user properties of the form `name=value`; its id."""
        return self._call("send", topic, lite, body, *properties)[0]

    def push(self, consumer, topic, group, listener="ack"):
        self._call("push", consumer, topic, group, listener)

    def simple(self, consumer, topic, group):
        self._call("simple", consumer, topic, group)

    def subscribe(self, consumer, *lites):
        for lite in lites:
            self._call("subscribe", consumer, lite)

    def subscribe_from(self, consumer, lite, *start):
        """Subscribes from `last`, `min`, `max`, `offset N`, `tail N` or `time MILLISECONDS` on."""
        self._call("subscribe", consumer, lite, *start)

    def unsubscribe(self, consumer, lite):
        self._call("unsubscribe", consumer, lite)

    def subscriptions(self, consumer):
        return sorted(name for name in self._call("subscriptions", consumer) if name)

    def receive(self, consumer, count, invisible_s):
        """One poll of a simple consumer. The messages also join those of `messages`."""
        before = len(self.messages(consumer))
        self._call("receive", consumer, str(count), str(invisible_s))
        return self.messages(consumer)[before:]

    def ack(self, consumer, messages):
        for message in messages:
            self._call("ack", consumer, message.message_id)

    def nack(self, consumer, messages, invisible_s):
        for message in messages:
            self._call("nack", consumer, message.message_id, str(invisible_s))

    def close(self, consumer):
        self._call("close", consumer, within_s=CLOSE_WITHIN_S)

    def messages(self, consumer=None):
        with self._changed:
            return [m for m in self._messages if consumer in (None, m.consumer)]

    def wait_for(self, what, is_enough, within_s, consumer=None):
        """Waits until `is_enough` of the messages seen so far is true, and returns them."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while True:
                seen = [m for m in self._messages if consumer in (None, m.consumer)]
                if is_enough(seen):
                    return seen
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._process.poll() is not None:
                    got = " ".join(f"{m.lite}:{m.body}" for m in seen) or "nothing"
                    raise CaseFailed(f"{what} did not come within {within_s} s; seen: {got}")
                self._changed.wait(min(left_s, 1))

    def kill(self):
        """Ends the process as a crash would: nothing is closed, nothing is said to the broker."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._log.close()

    def _call(self, *words, within_s=ANSWER_WITHIN_S):
        with self._one_call:
            self._sequence += 1
            try:
                self._process.stdin.write("\t".join((str(self._sequence), *words)) + "\n")
                self._process.stdin.flush()
            except OSError:
                raise CaseFailed(f"the driver had ended before {words[0]}, see {self._log_path}") from None
            return self._expect(str(self._sequence), within_s, words)

    def _expect(self, sequence, within_s, words=("ready",)):
        deadline = time.monotonic() + within_s
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise CaseFailed(f"no answer to '{' '.join(words)}' within {within_s} s, see {self._log_path}") from None
            if answer is None:
                raise CaseFailed(f"the driver ended during '{' '.join(words)}', see {self._log_path}")
            if answer[1] != sequence:
                continue  # the late answer to a call that was given up
            if answer[0] == "error":
                raise SdkError(" ".join(answer[2:]))
            return answer[2:]

    def _read(self):
        for line in self._process.stdout:
            if not line.startswith("@"):
                self._log.write(line.encode())
                continue
            kind, *rest = line[1:].rstrip("\n").split("\t")
            if kind == "message":
                consumer, lite, body, attempt, message_id = rest
                with self._changed:
                    self._messages.append(Message(consumer, lite, body, int(attempt), message_id))
                    self._changed.notify_all()
            else:
                self._answers.put((kind, *rest))
        self._answers.put(None)
        with self._changed:
            self._changed.notify_all()
