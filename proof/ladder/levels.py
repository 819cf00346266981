"""What each level is run by, and its size for CI."""

from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Optimised a little: quick enough to run, without the wait for a release build.
PROFILE = ("--profile", "proof")


@dataclass
class Site:
    """A tree that levels are run in: this one, or a copy with deliberate faults."""

    root: Path
    environment: dict = field(default_factory=dict)
    # The binary under test; `None` is the release build of this tree.
    binary: Path | None = None

    @property
    def tested_binary(self):
        return self.binary or self.root / "target/release/litemq"


@dataclass(frozen=True)
class Level:
    """One level: builds, then a command that takes a seed and a number of cycles."""

    name: str
    # Cargo arguments that build what the command needs.
    builds: tuple
    # The command; a cargo test gets seed and cycles in its environment, anything else as arguments.
    command: tuple
    # Cycles for CI.
    cycles: int
    needs_binary: bool = False
    # The folder, of a tree, that dependencies are built in.
    builds_in: str = "target"
    # An argument that may be given several times, for a run of all that they name.
    repeats: str | None = None

    @property
    def is_cargo_test(self):
        return self.command[:2] == ("cargo", "test")


def cargo_test(name, package, tests, cycles, filters=()):
    chosen = ("-p", package, *(part for test in tests for part in ("--test", test)))
    build = ("test", "--locked", *PROFILE, *chosen, "--no-run")
    run = ("cargo", "test", "--locked", *PROFILE, *chosen, "--", "--nocapture", "--test-threads=2", *filters)
    return Level(name, (build,), run, cycles)


def program(name, package, arguments, cycles, needs_binary, config=(), repeats=None):
    build = (*config, "build", "--locked", *PROFILE, "-p", package)
    run = ("cargo", *config, "run", "--quiet", "--locked", *PROFILE, "-p", package, "--", *arguments)
    return Level(name, (build,), run, cycles, needs_binary, repeats=repeats)


LEVELS = {
    level.name: level
    for level in [
        cargo_test("model", "litemq-domain", ["behaviour"], 20_000, ["model"]),
        cargo_test("disk", "litemq-storage", ["crash", "damage"], 4),
        program("sim", "litemq-sim", [], 300, needs_binary=False, config=("--config", "proof/sim/cargo.toml")),
        program("torture", "litemq-torture", [], 30, needs_binary=True),
        Level("fuzz", (), ("proof/fuzz/run",), 100_000, builds_in="target/fuzz"),
        program("hostile", "litemq-hostile", [], 1, needs_binary=True, repeats="--attack"),
    ]
}
