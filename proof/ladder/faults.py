"""Deliberate faults: a copy of the tree has all of them, and each must be caught by its level.

Which fault is on is said by the variable LITEMQ_FAULT, so that one build serves for all.
"""

import os
import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .levels import LEVELS, PROFILE, REPOSITORY, Site
from .run import Outcome, build, run_built, say

COPY = REPOSITORY / "target/proof/faulty"
# A fault does the same wrong thing in each run of a seed.
SEED = 1
# A level whose run takes longer hangs: it has judged nothing. The longest takes a tenth of that.
RUN_SECONDS_MAX = 900

CAUGHT = "caught"

DELIBERATE = '''
#[doc(hidden)]
#[allow(missing_docs, unused, unreachable_pub, reason = "a copy with deliberate faults")]
pub mod deliberate {
    pub fn on(name: &str) -> bool {
        static FAULT: std::sync::LazyLock<Option<String>> =
            std::sync::LazyLock::new(|| std::env::var("LITEMQ_FAULT").ok());
        FAULT.as_deref() == Some(name)
    }
}
'''


@dataclass(frozen=True)
class Fault:
    """A replacement in the code, and the run of its level that must fail."""

    level: str
    name: str
    breaks: str
    file: str
    find: str
    replace: str
    run: tuple


def load(only):
    """All faults, in the order of the ladder; `only` are names, or names of levels."""
    found = []
    for level in LEVELS:
        path = REPOSITORY / "proof/faults" / f"{level}.toml"
        text = path.read_text() if path.exists() else ""
        for entry in tomllib.loads(text).get("fault", []):
            run = tuple(entry.pop("run", ()))
            found.append(Fault(level=level, run=run, **entry))
    return [fault for fault in found if not only or fault.name in only or fault.level in only]


def unknown(names):
    """Those of these names that are neither a fault's nor a level's."""
    known = {name for fault in load(None) for name in (fault.name, fault.level)}
    return [name for name in names if name not in known]


def prove(only):
    """Builds the copy and runs each level with each of its faults, and once with none."""
    started = time.monotonic()
    faults = load(only)
    say(f"{len(faults)} deliberate faults")
    copy_tree(faulty_texts(load(None)))
    missed = faults
    site = prepare({fault.level for fault in faults})
    if site is not None:
        # A run that fails in any case would catch everything.
        sound = {kind for kind, run in sound_runs(faults).items() if passes_without(kind[0], run, site)}
        missed = [fault for fault in faults if not is_caught(fault, site) or kind_of(fault) not in sound]
    figures = {"faults": str(len(faults)), "caught": str(len(faults) - len(missed))}
    replays = ["./prove faults" + "".join(f" --fault {fault.name}" for fault in missed)] if missed else []
    return Outcome("faults", not missed, time.monotonic() - started, None, figures, replays)


def copy_tree(faulty):
    """Makes the copy the tree with these texts in place of some files; what is the same is not touched, so that builds
    stay incremental."""
    faulty = {**faulty, **other_versions()}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, check=True, capture_output=True
    )
    names = {name for name in listed.stdout.decode().split("\0") if name and (REPOSITORY / name).is_file()}
    for old in [path for path in COPY.rglob("*") if path.is_file()]:
        if str(old.relative_to(COPY)) not in names:
            old.unlink()
    for name in names:
        source, to = REPOSITORY / name, COPY / name
        content = faulty[name].encode() if name in faulty else source.read_bytes()
        if not to.is_file() or to.read_bytes() != content:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
            shutil.copymode(source, to)


def other_versions():
    """The manifests of the copy. Its packages have another version: it shares a folder of builds with the tree, and cargo
    would take packages of the same name and version for the same."""
    manifest = (REPOSITORY / "Cargo.toml").read_text()
    version = tomllib.loads(manifest)["workspace"]["package"]["version"]
    texts = {"Cargo.toml": manifest.replace(f'version = "{version}"', f'version = "{version}-faulty"', 1)}
    for name in ("Cargo.lock", "proof/fuzz/Cargo.lock"):
        ours = rf'(name = "litemq-[a-z-]+"\nversion = "{re.escape(version)})"'
        texts[name] = re.sub(ours, r'\1-faulty"', (REPOSITORY / name).read_text())
    return texts


def faulty_texts(faults):
    """The files with the faults in them, by name."""
    texts = {}
    for fault in faults:
        text = texts.get(fault.file) or (REPOSITORY / fault.file).read_text()
        places = text.count(fault.find)
        if places != 1:
            raise SystemExit(
                f"the fault {fault.name} finds its text {places} times in {fault.file}: proof/faults/{fault.level}.toml must follow the code"
            )
        texts[fault.file] = text.replace(fault.find, fault.replace)
    for file in list(texts):
        root = str(Path(*Path(file).parts[:2]) / "src/lib.rs")
        text = texts.get(root) or (REPOSITORY / root).read_text()
        texts[root] = text if "pub mod deliberate" in text else text + DELIBERATE
    return texts


def prepare(levels):
    """Builds in the same cache of dependencies, with results of its own."""
    environment = {
        "CARGO_TARGET_DIR": str(COPY.parent / "faulty-target"),
        "CARGO_BUILD_BUILD_DIR": str(REPOSITORY / "target"),
        "LITEMQ_FAULT": "",
    }
    site = Site(COPY, environment, COPY.parent / "faulty-target/proof/litemq")
    if not all(build(LEVELS[level], site) for level in levels):
        return None
    if any(LEVELS[level].needs_binary for level in levels):
        binary = ("cargo", "build", "--locked", *PROFILE, "-p", "litemq-server")
        if subprocess.run(binary, cwd=COPY, env={**os.environ, **environment}).returncode != 0:
            return None
    return site


def is_caught(fault, site):
    """Whether the level judges the fault a failure. One that just ends with an error has broken down itself, and one that
    does not end judges nothing."""
    cycles, rest = cycles_of(fault.run)
    found = run_with(fault.name, fault.level, cycles, rest, site)
    verdict = verdict_of(found)
    print(f"{fault.level:<8} {fault.name:<36} {verdict} in {found.seconds:.0f} s: {fault.breaks}", flush=True)
    return verdict == CAUGHT


def verdict_of(found):
    if found.passed:
        return "NOT CAUGHT"
    if found.hangs:
        return "HUNG THE LEVEL, NOT JUDGED"
    return CAUGHT if found.is_judged else "BROKE THE LEVEL"


def kind_of(fault):
    """Runs of one kind are parts of one run: they differ in how far they go, or in which of many things they try."""
    _, rest, _ = parts_of(fault)
    return fault.level, tuple(rest)


def sound_runs(faults):
    """The runs that must pass when nothing is wrong, by kind: one that goes as far, and tries as much, as any of its kind."""
    runs = {}
    for fault in faults:
        cycles, rest, tried = parts_of(fault)
        most, all_tried = runs.get(kind_of(fault), (0, []))
        runs[kind_of(fault)] = (max(most, cycles), all_tried + [value for value in tried if value not in all_tried])
    return {
        (level, rest): (cycles, [*rest, *(part for value in tried for part in (LEVELS[level].repeats, value))])
        for (level, rest), (cycles, tried) in runs.items()
    }


def parts_of(fault):
    """The cycles of a run, the level's own arguments, and the values of the one that repeats."""
    level = LEVELS[fault.level]
    cycles, given = cycles_of(fault.run)
    rest, tried, given = [], [], iter(given)
    for part in given:
        if part == level.repeats:
            tried.append(next(given))
        else:
            rest.append(part)
    return level.cycles if cycles is None else cycles, rest, tried


def passes_without(level, run, site):
    """Whether the run passes when nothing is wrong."""
    cycles, rest = run
    sound = run_with("", level, cycles, rest, site)
    verdict = "passes" if sound.passed else "FAILS"
    print(f"{level:<8} {' '.join([f'--cycles {cycles}', *rest]):<36} {verdict} without a fault in {sound.seconds:.0f} s", flush=True)
    return sound.passed


def run_with(name, level, cycles, rest, site):
    """Runs a level with the fault of this name switched on, and with none when it is empty."""
    level = LEVELS[level]
    # Dependencies are the tree's own, wherever the level has them built.
    site.environment |= {"LITEMQ_FAULT": name, "CARGO_BUILD_BUILD_DIR": str(REPOSITORY / level.builds_in)}
    return run_built(level, site, SEED, level.cycles if cycles is None else cycles, rest, quiet=True, seconds_max=RUN_SECONDS_MAX)


def cycles_of(run):
    """The number of cycles, and the arguments that are the level's own."""
    rest = list(run)
    cycles = None
    if "--cycles" in rest:
        at = rest.index("--cycles")
        cycles = int(rest[at + 1])
        del rest[at : at + 2]
    return cycles, rest
