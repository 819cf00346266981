"""The SDKs under test: how each is installed, started, and what it can do."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SUITE_FOLDER = Path(__file__).resolve().parent.parent
CACHE = SUITE_FOLDER / ".cache"
INSTALL_WITHIN_S = 900


class InstallFailed(Exception):
    """The registry, the compiler or the lock file said no."""


@dataclass(frozen=True)
class Sdk:
    """One pinned SDK.

    `subscribe_s` is the longest time from subscribe to effect that is the SDK's own doing.
    """

    name: str
    folder: str
    tools: tuple
    version: str
    subscribe_s: int = 0
    cases_at_once: int = 3  # they mostly wait for leases and timers
    has_simple_consumer: bool = False
    has_offset_options: bool = False
    has_suspend: bool = False
    is_concurrent: bool = False  # in a group without order
    obeys_notices: bool = False  # that a subscription ended
    tells_subscriptions: bool = False
    has_samples: bool = False
    passes_failed: bool = False  # it goes on with the next messages of a batch while one that failed waits for its retry
    sends_letters: bool = False  # of a name as names, until its next full sync
    hides_route_errors: bool = False  # the user is told that there is no route, and the log why
    environment: dict = field(default_factory=dict)

    def missing_tools(self):
        return [tool for tool in self.tools if shutil.which(tool) is None]

    def install(self):
        _INSTALLERS[self.folder](self)

    def command(self, *arguments, log_folder, main="Driver"):
        """The command of the driver, or of another main program of the same language."""
        if self.folder == "java":
            return ["java", *_JVM_FLAGS, f"-Drocketmq.log.root={log_folder}", "-cp", self._java_classpath(),
                    f"litemq.sdk.{main}" if "org." not in main else main, *arguments]
        script = main.lower()
        program = {
            "go": [str(CACHE / "go" / "driver"), *([script] if main != "Driver" else [])],
            "python": [str(CACHE / "python" / "bin" / "python"), str(SUITE_FOLDER / "python" / f"{script}.py")],
            "node": ["node", str(SUITE_FOLDER / "node" / f"{script}.js")],
        }
        return [*program[self.folder], *arguments]

    def environment_for(self, log_folder):
        """Everything the SDKs write to the home folder goes to the case's own folder instead."""
        own = {"HOME": str(log_folder), "rocketmq.client.logRoot": str(log_folder),
               "NODE_PATH": str(CACHE / "node" / "node_modules")}
        return {**os.environ, **own, **self.environment}

    def _java_classpath(self):
        built = SUITE_FOLDER / "java" / "target" / self.version
        return f"{built / 'classes'}{os.pathsep}{(built / 'classpath').read_text().strip()}"


# Fast start matters more than fast code: a suite starts some thirty JVMs.
_JVM_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Xshare:auto")

# The longest suite is first, so that the others fill the time it waits.
ALL = (
    # This version sends the letters of a name as names; the name itself comes with its full sync every 30 s.
    Sdk("python-5.1.2", "python", ("python3",), "5.1.2", subscribe_s=31, cases_at_once=6, has_simple_consumer=True,
        is_concurrent=True, sends_letters=True, hides_route_errors=True),
    Sdk("java-5.1.0", "java", ("java", "mvn"), "5.1.0", is_concurrent=True, obeys_notices=True,
        tells_subscriptions=True, has_samples=True),
    Sdk("java-5.2.0", "java", ("java", "mvn"), "5.2.0", has_offset_options=True, is_concurrent=True,
        obeys_notices=True, tells_subscriptions=True, has_samples=True),
    Sdk("go-5.1.4", "go", ("go",), "5.1.4", has_suspend=True, obeys_notices=True, passes_failed=True),
    Sdk("node-1.0.8", "node", ("node", "npm"), "1.0.8", has_offset_options=True, has_suspend=True, is_concurrent=True,
        tells_subscriptions=True, hides_route_errors=True),
)


def _install_java(sdk):
    project = SUITE_FOLDER / "java"
    sources = [project / "pom.xml", *sorted((project / "src").rglob("*.java"))]
    wanted = "".join(source.read_text() for source in sources)
    built = project / "target" / sdk.version
    installed = built / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted:
        jars = (built / "classpath").read_text().strip().split(os.pathsep)
        if all(Path(jar).is_file() for jar in jars):
            return
    # Serial by nature: both versions share one project folder.
    _run("mvn", "-q", "-B", f"-Dclient.version={sdk.version}", "process-classes", cwd=project)
    installed.write_text(wanted)


def _install_go(_sdk):
    _run("go", "build", "-mod=readonly", "-o", str(CACHE / "go" / "driver"), ".", cwd=SUITE_FOLDER / "go")


def _install_python(_sdk):
    folder = CACHE / "python"
    wanted = (SUITE_FOLDER / "python" / "requirements.txt").read_text()
    installed = folder / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted:
        return
    _run(sys.executable, "-m", "venv", "--clear", str(folder), cwd=SUITE_FOLDER)
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check",
         "--require-hashes", "-r", str(SUITE_FOLDER / "python" / "requirements.txt"), cwd=SUITE_FOLDER)
    installed.write_text(wanted)


def _install_node(_sdk):
    folder = CACHE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (SUITE_FOLDER / "node" / "package-lock.json").read_text()
    installed = folder / "installed.json"
    if installed.is_file() and installed.read_text() == wanted:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SUITE_FOLDER / "node" / name, folder)
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder)
    installed.write_text(wanted)


_INSTALLERS = {"java": _install_java, "go": _install_go, "python": _install_python, "node": _install_node}


def _run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_WITHIN_S)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InstallFailed(f"{' '.join(command)}\n{tail}")
