"""A litemq process on free ports with its own data folder: start, kill -9, start again, administer."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import processes

READY_WITHIN_S = 30
ADMIN_WITHIN_S = 20
SETTLED_WITHIN_S = 20

# The super user of brokers that ask for credentials.
SUPER_USER, SUPER_SECRET = "root", "secret-of-the-root"

_ports_given = set()
_ports_lock = threading.Lock()


class Broker:
    """One broker. The ports and the data folder stay the same over restarts."""

    def __init__(self, binary, folder, listen=None, is_guarded=False):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "broker.log"
        self.endpoint = listen or f"127.0.0.1:{_free_port()}"
        self.http = f"http://127.0.0.1:{_free_port()}"
        self._binary = str(binary)
        self._own = {
            "LITEMQ_ACCESS_ENABLED": "true",
            "LITEMQ_ACCESS_SUPER_USER": SUPER_USER,
            "LITEMQ_ACCESS_SUPER_SECRET": SUPER_SECRET,
            "LITEMQ_USER": SUPER_USER,
            "LITEMQ_SECRET": SUPER_SECRET,
        } if is_guarded else {}
        self._process = None

    def start(self):
        """Starts the process and returns when it answers that it is ready."""
        command = [
            self._binary, "serve",
            "--data", str(self.folder / "data"),
            "--listen", self.endpoint,
            "--http", self.http.removeprefix("http://"),
        ]
        with open(self.log_path, "ab") as log:
            self._process = processes.start(
                command, env={**_environment(), **self._own}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"litemq ended with {self._process.returncode} at start, see {self.log_path}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"litemq was not ready within {READY_WITHIN_S} s, see {self.log_path}")
            time.sleep(0.05)
        return self

    def kill9(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill9()

    def create_topic(self, topic, *options):
        lifetime = () if "--ttl" in options else ("--ttl", "30m")
        self._admin("topic", "create", topic, "--type", "lite", *lifetime, *options)

    def update_topic(self, topic, *options):
        self._admin("topic", "update", topic, *options)

    def create_group(self, group, topic, ordered, *options):
        self._admin("group", "create", group, "--bind", topic, "--ordered", str(ordered).lower(), *options)

    def update_group(self, group, *options):
        self._admin("group", "update", group, *options)

    def reset_group(self, group, *where):
        self._admin("group", "reset", group, *where)

    def end_subscription(self, group, client, lite):
        self._admin("group", "unsubscribe", group, client, "--lite", lite)

    def create_user(self, name):
        """A user that asks; its secret."""
        return json.loads(self._admin("user", "create", name, "--json"))["secret"]

    def allow(self, user, actions, resource):
        self._admin("policy", "add", user, "allow", actions, resource)

    def lite_names(self, topic):
        """The names of the lite topics that exist below `topic`, as the command line tells them."""
        page = json.loads(self._admin("lite", "list", topic, "--json"))
        return sorted(lite["name"] for lite in page["lite_topics"])

    def lite(self, topic, lite):
        """A lite topic as the command line describes it."""
        return json.loads(self._admin("lite", "describe", topic, lite, "--json"))

    def group_in(self, topic, lite, group):
        """Where a group is in a lite topic, and who is subscribed."""
        return next(view for view in self.lite(topic, lite)["groups"] if view["group"] == group)

    def wait_for_settled(self, topic, lite, group, offset):
        """Waits until everything below `offset` is acked: an SDK tells its message before its ack arrives."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while self.group_in(topic, lite, group)["committed_offset"] < offset:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{lite} is not acked up to {offset}: {self.group_in(topic, lite, group)}")
            time.sleep(0.05)

    def peek(self, topic, lite):
        return json.loads(self._admin("peek", topic, "--lite", lite, "--json"))["messages"]

    def trace(self, topic, lite, message_id):
        """What happened to a message, oldest first."""
        told = json.loads(self._admin("trace", "--topic", topic, "--lite", lite, "--id", message_id, "--json"))
        return [event for message in told["messages"] for event in message["events"]]

    def resend_dead_letters(self, group, lite):
        self._admin("dlq", "resend", group, lite, "--all")

    def dead_letters(self, group, lite):
        """The dead letters that a group has of a lite topic."""
        try:
            return self.peek(f"%DLQ%{group}", lite)
        except RuntimeError as error:
            if "LITE_TOPIC_NOT_FOUND" in str(error):
                return []  # the first letter makes it
            raise

    def metric(self, name):
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=ADMIN_WITHIN_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def _admin(self, *arguments):
        command = [self._binary, "--server", self.http, *arguments]
        environment = {**_environment(), **self._own}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ADMIN_WITHIN_S)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.http}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _environment():
    """Without what configures a broker of the person who runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LITEMQ_")}


def _free_port():
    """A port that nobody listens on and that this run has not given away before."""
    with _ports_lock:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port not in _ports_given:
                _ports_given.add(port)
                return port
