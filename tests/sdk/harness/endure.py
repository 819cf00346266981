"""`tests/sdk/run endure SDK ...`: one SDK that sends and receives whatever happens to the broker."""

import argparse
import os
import sys
from pathlib import Path

from . import sdks

# What the caller sees as exit code when a tool chain is missing.
MISSING = 77


def main(words):
    arguments = parse(words)
    sdk = next((sdk for sdk in sdks.ALL if arguments.sdk in (sdk.name, sdk.folder)), None)
    if sdk is None:
        sys.exit(f"no such SDK; there are {', '.join(sdk.name for sdk in sdks.ALL)}")
    missing = sdk.missing_tools()
    if missing:
        print(f"not on this machine: {', '.join(missing)}", file=sys.stderr)
        sys.exit(MISSING)
    sdk.install()
    if arguments.install:
        return
    logs = Path(arguments.logs).resolve()
    logs.mkdir(parents=True, exist_ok=True)
    lites = ",".join(f"s{number:02}" for number in range(arguments.lites))
    what = (arguments.address, arguments.topic, arguments.group, sdk.folder, lites, str(arguments.rate))
    command = sdk.command(*what, log_folder=logs, main="Endure")
    os.execvpe(command[0], command, sdk.environment_for(logs))


def parse(words):
    parser = argparse.ArgumentParser(prog="tests/sdk/run endure", description=__doc__)
    parser.add_argument("sdk", help="java, go, python, node, or a name with version such as java-5.1.0")
    parser.add_argument("--install", action="store_true", help="only install it")
    parser.add_argument("--address", default="127.0.0.1:8081", help="HOST:PORT of the broker")
    parser.add_argument("--topic", default="sessions")
    parser.add_argument("--group", default="sdk")
    parser.add_argument("--lites", type=int, default=6, help="lite topics that are sent to and subscribed to")
    parser.add_argument("--rate", type=float, default=10, help="messages sent in a second")
    parser.add_argument("--logs", default=".", help="a folder for what the SDK logs")
    return parser.parse_args(words)
