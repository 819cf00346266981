"""What every system under measurement has in common.

A peer is installed once, from its registry and pinned, below one folder; then it is started again
and again on empty data folders, on loopback, and stopped or killed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# Durability classes. Figures are compared within one class only.
DURABLE = "D2"  # synced to the disk before the answer
PROCESS = "D1"  # written before the answer: survives the end of the process, not of the machine
MEMORY = "D0"  # in memory

START_MAX_S = 300
STOP_MAX_S = 120
LOOK_INTERVAL_S = 0.01


# What is lacking where readers say themselves where they go on.
NO_CONSUMERS = dict.fromkeys(["deliver", "handover", "redeliver"], "it keeps no place of a consumer and has no ack")


class NotInstalled(Exception):
    """A peer that cannot be had here; the text is the reason, for the table."""


class Peer:
    """One system. Subclasses give `name`, `version`, `protocol`, `settings` and the three steps
    `fetch`, `launch` and `is_ready`."""

    name = ""
    version = ""
    # Of another peer, when both are the same install with other settings.
    package = None
    # What the load generator speaks to it: the value of `litemq-bench drive --system`.
    protocol = ""
    # Durability class -> how it is set, in the peer's own words, for the table.
    settings = {}
    # What else was set.
    flags = ""
    # A connection that carries one request at a time needs as many as there are requests.
    one_request_per_connection = False
    # A virtual machine compiles its hot paths first.
    warmup_seconds_min = 0
    # Workload -> why it cannot be run.
    lacks = {}
    # A consumer group in which a client takes a channel from the one that has it.
    take_over_group = None
    # The most channels it is asked for, and why.
    channels_max = None
    # The same where it is started on what it holds.
    density_max = None
    # Workload -> the most requests in flight that it is given.
    in_flight_max = {}

    # Beside every class: a limit, not a competitor.
    is_limit = False

    def __init__(self, installed, binaries, cpus=None):
        self.home = Path(installed).resolve() / f"{self.package or self.name}-{self.version}"
        self.binaries = Path(binaries).resolve()
        self.cpus = cpus
        self.processes = []
        self.address = None

    # Installing

    def install(self):
        """Installs it unless it is there; a half-made install is made again."""
        done = self.home / "installed"
        if done.exists():
            return
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.fetch()
        done.touch()

    def fetch(self):
        raise NotImplementedError

    def tool(self, *command, **environment):
        """Runs an installer at low priority; its log stays beside the install."""
        if not shutil.which(command[0]):
            raise NotInstalled(f"{command[0]} is not on this machine")
        log = self.home / "install.log"
        with log.open("a") as out:
            code = subprocess.run(
                ["nice", "-n", "19", *map(str, command)], cwd=self.home, stdout=out, stderr=out,
                env={**os.environ, **{key: str(value) for key, value in environment.items()}},
            ).returncode
        if code:
            last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise NotInstalled(f"{command[0]} failed ({code}): {last}")

    def remove(self, build):
        """A build tree is large, and only its result is needed."""
        shutil.rmtree(build)

    # Running

    def start(self, folder, durability):
        """Starts it on a folder and waits until it answers; the result is how long that took."""
        if durability not in self.settings:
            raise ValueError(f"{self.name} has no class {durability}")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        try:
            self.launch(durability)
            self.until(self.is_ready, "is not ready")
        except BaseException:
            self.kill()
            raise
        return time.monotonic() - begun

    def launch(self, durability):
        raise NotImplementedError

    def is_ready(self):
        return listens(self.address)

    def written_bytes(self):
        """What it has written, where its files are as large before; else its files tell."""
        return None

    def spawn(self, *command, **environment):
        """Starts a process of the peer, on its cores; what it says goes to a file."""
        command = [str(part) for part in command]
        if self.cpus:
            command = ["taskset", "--cpu-list", self.cpus, *command]
        log = (self.folder / f"process-{len(self.processes)}.log").open("ab")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            env={**os.environ, **{key: str(value) for key, value in environment.items()}},
        )
        log.close()
        self.processes.append(process)

    def until(self, condition, complaint):
        begun = time.monotonic()
        while not condition():
            ended = next((process for process in self.processes if process.poll() is not None), None)
            if ended or time.monotonic() - begun > START_MAX_S:
                raise RuntimeError(f"{self.name} {complaint}; its log: {self.log_tail()}")
            time.sleep(LOOK_INTERVAL_S)

    def log_tail(self):
        logs = sorted(self.folder.glob("process-*.log"))
        return "\n".join(log.read_text(errors="replace")[-600:] for log in logs)

    def stop(self):
        """An orderly stop, last started first; the result is how long it took."""
        begun = time.monotonic()
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_MAX_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"{self.name} did not stop in {STOP_MAX_S} s") from None
        self.processes = []
        return time.monotonic() - begun

    def kill(self):
        """`kill -9`, as a crash."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes = []

    @property
    def pids(self):
        return [process.pid for process in self.processes]


def free_port():
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
