"""The command line of the ladder."""

import argparse
import random
import signal
import sys
import time

from . import faults, record
from .levels import LEVELS, REPOSITORY, Site
from .run import Outcome, run_level, say

FAULTS = "faults"
ORDER = [*LEVELS, FAULTS]


def main():
    # Whoever ends the ladder ends the level that it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    arguments, rest = parse_arguments()
    levels = ORDER if arguments.levels == "all" else arguments.levels.split(",")
    unknown = [level for level in levels if level not in ORDER]
    if unknown:
        sys.exit(f"no level {unknown[0]}; there are {', '.join(ORDER)}, all, or several with commas")
    if rest and (len(levels) != 1 or levels == [FAULTS]):
        sys.exit(f"{' '.join(rest)}: arguments of a level need that one level named")
    if arguments.hours and levels == [FAULTS]:
        sys.exit("deliberate faults are always the same; hours show nothing more")
    if levels == [FAULTS] and (arguments.seed is not None or arguments.cycles is not None):
        sys.exit("deliberate faults have a seed and cycles of their own (proof/faults); --fault NAME runs one of them")
    if unknown := faults.unknown(arguments.fault or []):
        sys.exit(f"no deliberate fault {unknown[0]}; proof/faults has them")
    outcomes = prove_for_hours(levels, arguments, rest) if arguments.hours else prove_once(levels, arguments, rest)
    tell(outcomes)
    if arguments.record:
        record.write(outcomes)
    return 0 if outcomes and all(outcome.passed for outcome in outcomes) else 1


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="prove",
        description="Runs the proof ladder of LiteMQ, all of it or the named levels. What follows a level's name and is not "
        "known here goes to the level (sim --scenario NAME, sim meta, torture kills, fuzz --target NAME, hostile --attack NAME).",
    )
    parser.add_argument("levels", nargs="?", default="all", metavar="LEVEL", help=f"{', '.join(ORDER)}, several with commas, or all")
    parser.add_argument("--seed", type=int, help="repeats the decisions of a run; not of deliberate faults, which have their own")
    parser.add_argument("--cycles", type=at_least_one, help="how much of it; the default is the size for CI")
    parser.add_argument("--hours", type=float, help="goes round the levels with fresh seeds for so long; stops at a failure")
    parser.add_argument("--record", action="store_true", help="writes the figures into docs/reliability.md")
    parser.add_argument("--fault", action="append", help="only these deliberate faults, or those of a level (level faults)")
    return parser.parse_known_args()


def at_least_one(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def prove_once(levels, arguments, rest):
    return [prove(level, arguments.seed, arguments.cycles, rest, arguments.fault) for level in levels]


def prove_for_hours(levels, arguments, rest):
    """Rounds of all levels but the deliberate faults, each with a new seed."""
    until = time.monotonic() + arguments.hours * 3600
    outcomes = []
    while time.monotonic() < until and all(outcome.passed for outcome in outcomes):
        seed = random.SystemRandom().randrange(1, 2**53)
        for level in levels:
            if level != FAULTS:
                outcomes.append(prove(level, seed, arguments.cycles, rest, None))
    return outcomes


def prove(level, seed, cycles, rest, only):
    if level == FAULTS:
        return faults.prove(only)
    site = Site(REPOSITORY)
    return run_level(LEVELS[level], site, seed, cycles, rest)


def tell(outcomes: list[Outcome]):
    say("the ladder")
    for outcome in outcomes:
        verdict = "passed" if outcome.passed else "FAILED"
        print(f"{outcome.level:<8} {verdict}  {outcome.seconds:5.0f} s  {outcome.told()}", flush=True)
    for outcome in outcomes:
        for line in outcome.replays:
            print(f"replay: {line}", flush=True)
    passed = sum(outcome.passed for outcome in outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
