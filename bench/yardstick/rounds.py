"""Rounds: every system once, in an order that rotates, each on an empty folder, the disk timed before and after."""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from peers import NotInstalled

from . import generator
from .workloads import Lacking, check_measures

# A round is steady while the disk keeps its speed and others take little of the machine.
DISK_CHANGE_MAX = 2.0
OTHERS_LOAD_MAX = 0.3
PROBE_BYTES = 4096
# The bare loop with 1, 64 and 1,024 messages of 256 B in a write.
LOOP_BYTES = [256, 64 * 256, 1024 * 256]


@dataclass
class Plan:
    systems: list
    durability: str
    rounds: int
    workloads: list
    folder: Path
    binaries: Path
    server_cpus: str | None
    generator_cpus: str | None
    seconds: int
    warmup_seconds: int


def run(plan):
    """Runs it all; a system that fails or is not there is a dash with the reason."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    bench = generator.Generator(plan.binaries / "litemq-bench", plan.generator_cpus)
    results = {
        "command": command(), "durability": plan.durability, "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": generator.machine(), "server_cpus": plan.server_cpus, "generator_cpus": plan.generator_cpus,
        "seconds": plan.seconds, "warmup_seconds": plan.warmup_seconds,
        "systems": {}, "dashes": [], "rounds": [], "bare_loop": bench.disk(plan.folder, LOOP_BYTES),
    }
    systems = [system for system in plan.systems if is_there(system, plan.durability, results)]
    for number in range(plan.rounds):
        first = number % max(1, len(systems))
        for system in systems[first:] + systems[:first]:
            for workload in plan.workloads:
                if number < (workload.rounds_max or plan.rounds) and workload.is_for(system):
                    one_round(plan, bench, number, system, workload, results)
    return results


def command():
    """What was typed, without the folders of this machine."""
    return ["bench/run", *(word for word in sys.argv[1:] if "/" not in word and word not in ("--installed", "--out", "--folder", "--binaries", "--into"))]


def is_there(system, durability, results):
    if durability not in system.settings:
        results["dashes"].append({"system": system.name, "reason": f"has no class {durability}", "failed": False})
        return False
    try:
        system.install()
    except NotInstalled as reason:
        results["dashes"].append({"system": system.name, "reason": f"cannot be installed: {reason}", "failed": False})
        return False
    results["systems"][system.name] = {
        "version": system.version, "setting": system.settings[durability], "flags": system.flags, "limit": system.is_limit,
    }
    return True


def one_round(plan, bench, number, system, workload, results):
    folder = plan.folder / f"{system.name}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    before = probe(bench, plan.folder)
    say(f"round {number + 1}/{plan.rounds} {workload.name} {system.name}: fdatasync before p50 {before['p50_us']:.0f} us p99 {before['p99_us']:.0f} us")
    try:
        check_measures(workload, system)
        readings = workload.measure(system, folder, plan.durability, bench)
    except Exception as error:  # whatever goes wrong with one system is told of it, and the others go on
        say(f"  failed: {error}")
        # Without the folders of this machine.
        said = " ".join(word for word in str(error).split() if "/" not in word)
        reason = f"{workload.name}, round {number + 1}: {said[:400]}"
        results["dashes"].append({"system": system.name, "reason": reason, "failed": not isinstance(error, Lacking)})
        return
    finally:
        system.kill()
        shutil.rmtree(folder, ignore_errors=True)
    after = probe(bench, plan.folder)
    say(f"  fdatasync after p50 {after['p50_us']:.0f} us p99 {after['p99_us']:.0f} us")
    for reading in readings:
        if "latency" in reading:
            say(f"  {reading['cell']}: {reading['appends_per_second']:.0f}/s p99 {reading['latency']['p99_us'] / 1e3:.2f} ms")
        why = unsteady(before, after, reading)
        results["rounds"].append({
            "round": number, "system": system.name, "workload": workload.name, "disk_before": before, "disk_after": after,
            "unsteady": why, **reading,
        })


def probe(bench, folder):
    return bench.disk(folder, [PROBE_BYTES])[PROBE_BYTES]


def unsteady(before, after, reading):
    """Why a round tells little, if it does."""
    slow, fast = max(before["p50_us"], after["p50_us"]), min(before["p50_us"], after["p50_us"])
    if slow > DISK_CHANGE_MAX * fast:
        return f"fdatasync p50 went from {before['p50_us']:.0f} to {after['p50_us']:.0f} us"
    load = reading.get("others_seconds", 0) / max(reading.get("seconds", 0), 1e-3)
    return f"others kept {load:.1f} cores busy" if load > OTHERS_LOAD_MAX else None


def say(line):
    print(line, file=sys.stderr, flush=True)
