"""The processes of a run, so that none outlives it, however it ends."""

import subprocess
import threading

_started = []
_one_start = threading.Lock()


def start(command, **options):
    with _one_start:
        process = subprocess.Popen(command, **options)
        _started.append(process)
        return process


def kill_all():
    """Ends what runs. Nothing can be started any more: this is the end of the run."""
    _one_start.acquire()
    for process in _started:
        if process.poll() is None:
            process.kill()
            process.wait()
