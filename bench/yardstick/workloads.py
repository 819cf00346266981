"""What is measured. A workload gets a system that is installed and a folder, starts and ends the server itself,
and gives its readings: dictionaries with the name of their cell."""

import json
import time

from .generator import descriptors, folder_use, memory_bytes, process_seconds

BODY_BYTES = 256
CONNECTIONS = 8
# W1, open loop: the share of its own peak that a system is offered.
OPEN_SHARE = 0.5
PROBE_CHANNELS = 1
SERVED_MAX_S = 120
# W5: receives that wait at a time.
RECEIVES = 4
# W7: what all systems can be asked for.
INVISIBLE_SECONDS = 10
# W8
TOKENS_PER_SECOND = 50
TOKEN_BYTES = 20
# What must be nothing in any reading of ours.
FAULTS = ("missing", "repeated", "reordered", "lost")


class Workload:
    """What is common to all. `measure` starts and ends the server itself."""

    name = ""
    # How often it is measured at most, however many rounds there are: what is long and repeats well.
    rounds_max = None

    def is_for(self, system):
        return not system.is_limit


class Append(Workload):
    """W1: one message a request to channels that take turns. First the ceiling, with so many requests in flight; then
    half of that ceiling as a fixed rate, where every stall counts."""

    name = "append"

    def is_for(self, system):
        return True

    def __init__(self, options):
        self.channels, self.in_flight = options.channels, options.in_flight
        self.time, self.warmup_seconds = ["--seconds", options.seconds], options.warmup_seconds

    def measure(self, system, folder, durability, generator):
        start(system, folder, durability, generator)
        timed = time_options(self, system)
        readings = []
        for channels in self.channels:
            if system.channels_max and channels > system.channels_max:
                continue
            peak = 0
            allowed = [number for number in self.in_flight if number == bounded(number, self, system)]
            if not allowed:
                raise Lacking(f"at most {system.in_flight_max[self.name]} in flight")
            for in_flight in allowed:
                load = shape(system, in_flight, channels)
                reading = generator.drive(system, *load, *timed)
                peak = max(peak, reading["appends_per_second"])
                readings.append({"cell": f"{channels} channels, {in_flight} in flight", **reading})
            rate = ["--rate", max(1.0, round(peak * OPEN_SHARE))]
            reading = generator.drive(system, *shape(system, max(allowed), channels), *timed, *rate)
            readings.append({"cell": f"{channels} channels, open loop at half the peak", **reading})
        system.stop()
        return readings


class Density(Workload):
    """W2, W3 and W4: each of many channels is made by its first message; then they rest; then the server is killed and
    started, stopped and started. Ready is when a message to one of the channels is acknowledged."""

    name = "density"
    rounds_max = 1

    def __init__(self, options):
        self.channels, self.rest_seconds, self.in_flight = options.density, options.rest_seconds, max(options.in_flight)

    def measure(self, system, folder, durability, generator):
        most = system.density_max or system.channels_max
        channels = min(self.channels, most or self.channels)
        start(system, folder, durability, generator)
        # What a start leaves behind, such as files made ready for later, is no part of creation.
        time.sleep(self.rest_seconds)
        empty = self.weigh(system, folder)
        creation = generator.drive(system, *shape(system, bounded(self.in_flight, self, system), channels), "--create")
        time.sleep(self.rest_seconds)
        cpu = sum(map(process_seconds, system.pids))
        time.sleep(self.rest_seconds)
        cpu = sum(map(process_seconds, system.pids)) - cpu
        full = self.weigh(system, folder)
        system.kill()
        after_kill = self.ready_after(system, folder, durability, generator)
        restarted = self.weigh(system, folder)
        stop_seconds = system.stop()
        after_stop = self.ready_after(system, folder, durability, generator)
        system.stop()
        each = {f"{name}_each": (full[name] - empty[name]) / creation["appends"] for name in full}
        return [{
            "cell": f"{channels} channels", **creation, **each, "cpu_at_rest": cpu / self.rest_seconds,
            "resident_after_restart": restarted["resident"], "ready_after_kill_seconds": after_kill,
            "stop_seconds": stop_seconds, "ready_after_stop_seconds": after_stop,
        }]

    def weigh(self, system, folder):
        resident, anonymous = memory_bytes(system.pids)
        disk, files = folder_use(folder)
        written = system.written_bytes()
        return {"resident": resident, "anonymous": anonymous, "disk": disk if written is None else written, "files": files, "descriptors": descriptors(system.pids)}

    def ready_after(self, system, folder, durability, generator):
        begun = time.monotonic()
        start(system, folder, durability, generator)
        return time.monotonic() - begun


class Deliver(Workload):
    """W5: send, deliver, ack, over many channels with an exclusive consumer each, all held by one client."""

    name = "deliver"
    more = []

    def __init__(self, options):
        self.consumers, self.in_flight = options.consumers, options.cycles_in_flight
        self.time, self.warmup_seconds = ["--seconds", options.seconds], options.warmup_seconds

    def measure(self, system, folder, durability, generator):
        start(system, folder, durability, generator)
        in_flight = bounded(self.in_flight, self, system)
        group = ["--group", system.take_over_group] if system.take_over_group else []
        reading = generator.drive(
            system, *group, "--channels", self.consumers, "--in-flight", in_flight, "--receives", RECEIVES,
            "--body-bytes", BODY_BYTES, *time_options(self, system), *self.more, command=self.name,
        )
        system.stop()
        # In one table with the others, whatever it was given.
        return [{"cell": f"{self.consumers} channels, {self.in_flight} under way", "under_way": in_flight, **reading}]


class Redeliver(Deliver):
    """W7: the same, with one message of a hundred that nobody acknowledges at its first delivery, in channels of
    their own: when it comes again, and what the others feel."""

    name = "redeliver"

    def __init__(self, options):
        super().__init__(options)
        self.more = ["--unacked-channels", options.unacked, "--invisible-seconds", INVISIBLE_SECONDS]


class Handover(Workload):
    """W6: channels move from one client to another under traffic, each once. Where a client can take a channel from
    another, that is measured first; then the old client gives it up before the new one takes it."""

    name = "handover"

    def __init__(self, options):
        self.channels, self.rate = options.moving, options.moving_rate
        self.time, self.warmup_seconds = ["--seconds", options.seconds], options.warmup_seconds

    def measure(self, system, folder, durability, generator):
        ways = {"given up, then taken": []}
        if system.take_over_group:
            ways = {"taken over": take_over(system), **ways}
        readings = []
        for number, (way, options) in enumerate(ways.items()):
            start(system, folder / str(number), durability, generator)
            reading = generator.drive(
                system, "--channels", self.channels, "--rate", self.rate, "--body-bytes", BODY_BYTES, *options,
                *time_options(self, system), command=self.name,
            )
            system.stop()
            readings.append({"cell": f"{self.channels} channels, {self.rate} messages/s, {way}", **reading})
        return readings


class Stream(Workload):
    """W8: token streams. Each session has a writer that is never late and a reader; some readers lose their
    connection each second and go on where they were."""

    name = "stream"

    def __init__(self, options):
        self.sessions, self.time, self.warmup_seconds = options.sessions, ["--seconds", options.seconds], options.warmup_seconds
        self.reconnects = options.reconnects

    def measure(self, system, folder, durability, generator):
        start(system, folder, durability, generator)
        connections = self.sessions if system.one_request_per_connection else CONNECTIONS
        options = take_over(system) if system.take_over_group else []
        reading = generator.drive(
            system, "--sessions", self.sessions, "--tokens-per-second", TOKENS_PER_SECOND, "--body-bytes", TOKEN_BYTES,
            "--reconnect-percent", self.reconnects, "--connections", connections, *options, *time_options(self, system),
            command=self.name,
        )
        system.stop()
        return [{"cell": f"{self.sessions} sessions x {TOKENS_PER_SECOND} tokens/s, {self.reconnects:g} % reconnect each second", **reading}]


class Subscriptions(Workload):
    """Clients that say again and again, each, all that they are subscribed to, as the SDKs do: what that costs and what
    a subscription takes; then the same beside a few messages."""

    name = "subscriptions"
    rounds_max = 1

    def __init__(self, options):
        self.shapes = list(zip(options.clients, options.names_each, strict=True))
        self.period, self.periods, self.rate = options.period_seconds, options.periods, options.sparse_rate

    def measure(self, system, folder, durability, generator):
        if system.protocol != "rocketmq":
            raise Lacking("clients do not say again what they are subscribed to")
        readings = []
        for number, (clients, names) in enumerate(self.shapes):
            start(system, folder / str(number), durability, generator)
            reading = generator.drive(
                system, "--clients", clients, "--names", names, "--period-seconds", self.period, "--periods", self.periods,
                "--rate", self.rate, "--body-bytes", BODY_BYTES, command=self.name,
            )
            system.stop()
            readings.append({"cell": f"{clients} clients x {names} names every {self.period} s", **reading})
        return readings


class Alone(Workload):
    """What is measured of LiteMQ alone: `litemq-bench` starts and ends the server, and makes the tables."""

    rounds_max = 1
    options = []

    def is_for(self, system):
        return system.name == "litemq"

    def measure(self, system, folder, durability, generator):
        folder.mkdir(parents=True)
        report = folder / "report.json"
        cpus = ["--server-cpus", system.cpus] if system.cpus else []
        generator.run("--litemq", system.binaries / "litemq", "--folder", folder, "--json", report, *cpus, self.name, *self.options)
        found = json.loads(report.read_text())
        return [{"cell": self.name, "command": [self.name, *map(str, self.options)], "tables": found["tables"], "details": found["readings"]}]


class Idle(Alone):
    """W3 and W4 of very many lite topics, each with a message that was taken and acked, and so with a position."""

    name = "idle"

    def __init__(self, options):
        counts = ",".join(map(str, [0, *options.idle]))
        rest = ["--rest-seconds", options.rest_seconds]
        self.options = ["--counts", counts, "--with-cursor", "--send-batch", "64", *rest]


class Expire(Alone):
    """W9: a wave of lite topics whose time is over, beside sends at a fixed rate."""

    name = "expire"

    def __init__(self, options):
        self.options = ["--lite-topics", options.due, "--rate", options.due_rate, "--body-bytes", BODY_BYTES, "--space-seconds", options.space_seconds]


class Lacking(Exception):
    """A system has nothing that could be measured here."""


def check_measures(workload, system):
    """Whether a system has what a workload measures."""
    if workload.name in system.lacks:
        raise Lacking(system.lacks[workload.name])


def bounded(in_flight, workload, system):
    return min(in_flight, system.in_flight_max.get(workload.name, in_flight))


def take_over(system):
    return ["--group", system.take_over_group, "--take-over"]


def time_options(workload, system):
    return [*workload.time, "--warmup-seconds", max(workload.warmup_seconds, system.warmup_seconds_min)]


def faults(reading):
    """What went wrong with messages in a round, by its name."""
    return {name: reading[name] for name in FAULTS if reading.get(name)}


def start(system, folder, durability, generator):
    """Starts a server and waits until it takes a message: a port that is open promises nothing."""
    system.start(folder, durability)
    begun = time.monotonic()
    while True:
        probe = generator.drive(system, *shape(system, 1, PROBE_CHANNELS), "--count", 1)
        if not probe["failed"]:
            return
        if time.monotonic() - begun > SERVED_MAX_S:
            raise RuntimeError(f"{system.name} takes no message: {probe['first_failure']}")
        time.sleep(0.05)


def shape(system, in_flight, channels):
    """A protocol that answers one request after the other gets a connection for each."""
    connections = in_flight if system.one_request_per_connection else min(CONNECTIONS, in_flight)
    return ["--connections", connections, "--in-flight", in_flight, "--channels", channels, "--body-bytes", BODY_BYTES]


ALL = {workload.name: workload for workload in (Append, Density, Deliver, Handover, Redeliver, Stream, Subscriptions, Expire, Idle)}
