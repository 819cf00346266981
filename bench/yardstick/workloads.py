"""What is measured. A workload gets a system that is installed and a folder, starts and ends the server itself,
and gives its readings: dictionaries with the name of their cell."""

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


class Append:
    """W1: one message a request to channels that take turns. First the ceiling, with so many requests in flight; then
    half of that ceiling as a fixed rate, where every stall counts."""

    name = "append"

    def __init__(self, options):
        self.channels, self.in_flight = options.channels, options.in_flight
        self.time, self.warmup_seconds = ["--seconds", options.seconds], options.warmup_seconds

    def measure(self, system, folder, durability, generator):
        start(system, folder, durability, generator)
        time_options = [*self.time, "--warmup-seconds", max(self.warmup_seconds, system.warmup_seconds_min)]
        readings = []
        for channels in self.channels:
            if system.channels_max and channels > system.channels_max:
                continue
            peak = 0
            for in_flight in self.in_flight:
                load = shape(system, in_flight, channels)
                reading = generator.drive(system, *load, *time_options)
                peak = max(peak, reading["appends_per_second"])
                readings.append({"cell": f"{channels} channels, {in_flight} in flight", **reading})
            rate = ["--rate", max(1.0, round(peak * OPEN_SHARE))]
            reading = generator.drive(system, *shape(system, max(self.in_flight), channels), *time_options, *rate)
            readings.append({"cell": f"{channels} channels, open loop at half the peak", **reading})
        system.stop()
        return readings


class Density:
    """W2, W3 and W4: each of many channels is made by its first message; then they rest; then the server is killed and
    started, stopped and started. Ready is when a message to one of the channels is acknowledged."""

    name = "density"

    def __init__(self, options):
        self.channels, self.rest_seconds = options.density, options.rest_seconds

    def measure(self, system, folder, durability, generator):
        if system.is_limit:
            return []
        channels = min(self.channels, system.channels_max or self.channels)
        start(system, folder, durability, generator)
        empty = self.weigh(system, folder)
        creation = generator.drive(system, *shape(system, 64, channels), "--create")
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
        each = {f"{name}_each": (full[name] - empty[name]) / channels for name in full}
        return [{
            "cell": f"{channels} channels", **creation, **each, "cpu_at_rest": cpu / self.rest_seconds,
            "resident_after_restart": restarted["resident"], "ready_after_kill_seconds": after_kill,
            "stop_seconds": stop_seconds, "ready_after_stop_seconds": after_stop,
        }]

    def weigh(self, system, folder):
        resident, anonymous = memory_bytes(system.pids)
        disk, files = folder_use(folder)
        return {"resident": resident, "anonymous": anonymous, "disk": disk, "files": files, "descriptors": descriptors(system.pids)}

    def ready_after(self, system, folder, durability, generator):
        begun = time.monotonic()
        start(system, folder, durability, generator)
        return time.monotonic() - begun


class Deliver:
    """W5: send, deliver, ack, over many channels with an exclusive consumer each, all held by one client."""

    name = "deliver"

    def __init__(self, options):
        self.consumers, self.in_flight = options.consumers, options.cycles_in_flight
        self.time, self.warmup_seconds = ["--seconds", options.seconds], options.warmup_seconds

    def measure(self, system, folder, durability, generator):
        if system.is_limit:
            return []
        if not system.has_acks:
            raise Lacking("it keeps no place of a consumer and has no ack")
        start(system, folder, durability, generator)
        warmup = max(self.warmup_seconds, system.warmup_seconds_min)
        reading = generator.drive(
            system, "--channels", self.consumers, "--in-flight", self.in_flight, "--receives", RECEIVES,
            "--body-bytes", BODY_BYTES, *self.time, "--warmup-seconds", warmup, command="deliver",
        )
        system.stop()
        return [{"cell": f"{self.consumers} channels, {self.in_flight} under way", **reading}]


class Lacking(Exception):
    """A system has nothing that could be measured here."""


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


ALL = {workload.name: workload for workload in (Append, Density, Deliver)}
