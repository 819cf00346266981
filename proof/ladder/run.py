"""Runs a level, shows what it prints, and keeps what it says of itself."""

import os
import random
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field


CI_SEED = 1
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


def run_built(level, site, seed, cycles, rest, quiet=False):
    """Runs a level that is built; `quiet` keeps what it prints from being shown."""
    started = time.monotonic()
    outcome = Outcome(level.name, False, 0, seed)
    code = watch(command_of(level, site, seed, cycles, rest), site, environment_of(level, site, seed, cycles), outcome, quiet)
    # A filter that no test has is no proof.
    outcome.passed = code == 0 and (outcome.tests > 0 or not level.is_cargo_test)
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
    # A level's own word (a scenario) replaces the one for all.
    if rest and not rest[0].startswith("-") and command[-3:-2] != ["--"]:
        command = [part for part in command if part != "all"]
    return [*command, "--seed", str(seed), "--cycles", str(cycles), *rest]


def environment_of(level, site, seed, cycles):
    own = {"LITEMQ_PROOF_SEED": str(seed), "LITEMQ_PROOF_CYCLES": str(cycles)} if level.is_cargo_test else {}
    return {**os.environ, **site.environment, **own}


def replay(level, seed, cycles, rest):
    return shlex.join(["./prove", level.name, "--seed", str(seed), "--cycles", str(cycles), *rest])


def watch(command, site, environment, outcome, quiet):
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
    )
    try:
        for line in process.stdout:
            read(line, outcome)
            if not quiet:
                sys.stdout.write(line)
                sys.stdout.flush()
        return process.wait()
    finally:
        process.kill()


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
