"""Runs a level, shows what it prints, and keeps what it says of itself."""

import contextlib
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field


CI_SEED = 1
# A level that is told to end cleans up behind it, such as what it has mounted, for so long.
END_SECONDS_MAX = 20
TEST_RESULT = re.compile(r"test result: (?P<verdict>\w+)\. (?P<passed>\d+) passed")


@dataclass
class Outcome:
    """What became of a level."""

    level: str
    passed: bool
    seconds: float
    seed: int | None = None
    figures: dict = field(default_factory=dict)
    replays: list = field(default_factory=list)
    # Tests that a test harness says have passed.
    tests: int = 0
    # Whether the level itself says that something failed.
    is_judged: bool = False
    # Whether it was ended because it took too long.
    hangs: bool = False

    def told(self):
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        return f"seed={self.seed} {figures}" if self.seed is not None else figures


def say(text):
    print(f"\n== {text}", flush=True)


def run_level(level, site, seed, cycles, rest=()):
    """Builds and runs one level; its time does not count the builds."""
    seed = fresh_seed() if seed is None else seed
    cycles = level.cycles if cycles is None else cycles
    say(f"{level.name}, seed {seed}")
    if not build(level, site):
        return Outcome(level.name, False, 0, seed, replays=[replay(level, seed, cycles, rest)])
    return run_built(level, site, seed, cycles, rest)


def run_built(level, site, seed, cycles, rest, quiet=False, seconds_max=None):
    """Runs a level that is built, for so long at most; `quiet` keeps what it prints from being shown."""
    started = time.monotonic()
    outcome = Outcome(level.name, False, 0, seed)
    command, environment = command_of(level, site, seed, cycles, rest), environment_of(level, site, seed, cycles)
    code = watch(command, site, environment, outcome, quiet, seconds_max)
    # A filter that no test has is no proof.
    outcome.passed = code == 0 and not outcome.hangs and (outcome.tests > 0 or not level.is_cargo_test)
    outcome.seconds = time.monotonic() - started
    if not outcome.passed and not outcome.replays:
        outcome.replays.append(replay(level, seed, cycles, rest))
    return outcome


def fresh_seed():
    """A commit is judged by the same seed each time; people and long runs find what is new."""
    return CI_SEED if os.environ.get("CI") == "true" else random.SystemRandom().randrange(1, 2**32)


def build(level, site):
    """Cargo builds of the level, and of the binary under test when it is this tree's own."""
    environment = {**os.environ, **site.environment}
    builds = list(level.builds)
    if level.needs_binary and site.binary is None:
        builds.append(("build", "--locked", "--release", "-p", "litemq-server"))
    return all(subprocess.run(("cargo", *part), cwd=site.root, env=environment).returncode == 0 for part in builds)


def command_of(level, site, seed, cycles, rest):
    if level.is_cargo_test:
        return [*level.command, *rest]
    command = list(level.command)
    if level.needs_binary:
        command += ["--binary", str(site.tested_binary)]
    return [*command, "--seed", str(seed), "--cycles", str(cycles), *rest]


def environment_of(level, site, seed, cycles):
    own = {"LITEMQ_PROOF_SEED": str(seed), "LITEMQ_PROOF_CYCLES": str(cycles)} if level.is_cargo_test else {}
    return {**os.environ, **site.environment, **own}


def replay(level, seed, cycles, rest):
    return shlex.join(["./prove", level.name, "--seed", str(seed), "--cycles", str(cycles), *rest])


def watch(command, site, environment, outcome, quiet, seconds_max):
    """Copies the output and reads `figures:` and `replay:` lines; the exit code."""
    process = subprocess.Popen(
        command,
        cwd=site.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        # With all that it starts, so that all of it can be ended.
        process_group=0,
    )

    def give_up():
        outcome.hangs = process.poll() is None
        end(process)

    limit = threading.Timer(seconds_max or threading.TIMEOUT_MAX, give_up)
    limit.daemon = True
    limit.start()
    try:
        for line in process.stdout:
            read(line, outcome)
            if not quiet:
                sys.stdout.write(line)
                sys.stdout.flush()
        return process.wait()
    finally:
        limit.cancel()
        end(process)


def end(process):
    """Ends a level that still runs, and what it has started: it is asked first."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(END_SECONDS_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read(line, outcome):
    if counted := TEST_RESULT.match(line):
        outcome.tests += int(counted["passed"])
        outcome.is_judged |= counted["verdict"] == "FAILED"
    # A test harness prints the name of a test before what the test prints.
    for mark in ("figures: ", "replay: "):
        _, found, said = line.partition(mark)
        if not found:
            continue
        if mark == "replay: ":
            outcome.replays.append(said.strip())
            outcome.is_judged = True
        else:
            pairs = (pair.partition("=") for pair in said.split())
            for name, _, value in pairs:
                outcome.figures[name] = total(outcome.figures.get(name), value)


def total(before, value):
    """Figures of the same name are added."""
    if before is None or not (before.isdigit() and value.isdigit()):
        return value
    return str(int(before) + int(value))
