"""The load generator and the machine, as seen from the rounds."""

import json
import os
import resource
import subprocess
import time
from pathlib import Path

# Longer than any run; a system that hangs is not to end all.
RUN_MAX_S = 1800
TICKS = os.sysconf("SC_CLK_TCK")


class Generator:
    """`litemq-bench`, on its cores."""

    def __init__(self, binary, cpus):
        self.command = (["taskset", "--cpu-list", cpus] if cpus else []) + [str(binary)]

    def drive(self, system, *options, command="drive"):
        """One round of load; what it read, and how busy others kept the machine, as if it had lasted for the measured time alone."""
        before, begun = (machine_seconds(), side_seconds(system.pids)), time.monotonic()
        reading = self.call(
            command, "--system", system.protocol, "--address", system.address,
            "--pids", ",".join(map(str, system.pids)), *options,
        )
        busy, ours = machine_seconds() - before[0], side_seconds(system.pids) - before[1]
        share = reading["seconds"] / max(time.monotonic() - begun, 1e-3)
        reading["others_seconds"] = max(0.0, busy - ours) * share
        return reading

    def disk(self, folder, sizes):
        """The bare loop of pwrite and fdatasync: size of a write -> latencies."""
        return dict(self.call("disk", "--folder", folder, "--write-bytes", ",".join(map(str, sizes))))

    def call(self, *arguments):
        return json.loads(self.run(*arguments))

    def run(self, *arguments):
        run = subprocess.run([*self.command, *map(str, arguments)], capture_output=True, text=True, timeout=RUN_MAX_S)
        if run.returncode:
            raise RuntimeError(f"litemq-bench {' '.join(map(str, arguments))}: {run.stderr.strip()[-400:]}")
        return run.stdout


def machine_seconds():
    """Processor seconds of all cores, idle and waiting for the disk left out."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


def side_seconds(pids):
    """Processor seconds of a server and of the load generators that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + sum(process_seconds(pid) for pid in pids)


def process_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pids):
    """Resident and anonymous bytes of some processes."""
    found = {"VmRSS": 0, "RssAnon": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] += int(value.split()[0]) * 1024
    return found["VmRSS"], found["RssAnon"]


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def folder_use(folder):
    """Bytes allocated below a folder, and files."""
    found = [0, 0]
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found[0] += os.lstat(os.path.join(place, name)).st_blocks * 512
                found[1] += 1
            except FileNotFoundError:
                pass  # gone meanwhile
    return found


def machine():
    """What figures depend on."""
    processors = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    return {
        "processor": processors[0].partition(":")[2].strip() if processors else "unknown",
        "cores": os.cpu_count(), "memory_gib": round(memory, 1), "kernel": os.uname().release,
    }
