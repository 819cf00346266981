"""What a case has at hand: an SDK, a broker, fresh names, and clean-up of everything it started."""

import itertools
import subprocess
import time

from . import processes
from .broker import Broker
from .driver import CaseFailed, Driver

DELIVERED_WITHIN_S = 20
ASK_AGAIN_S = 0.25


class World:
    def __init__(self, sdk, broker, binary, folder):
        self.sdk = sdk
        self.broker = broker
        self._binary = binary
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._cleanups = []

    @property
    def delivery_s(self):
        """How long a message may take to a consumer that has just subscribed."""
        return self.sdk.subscribe_s + DELIVERED_WITHIN_S

    def topic(self, broker=None, options=()):
        """A new parent topic. Its name is unique in the broker, since cases share one."""
        name = f"{self._folder.name}-{next(self._numbers)}"
        (broker or self.broker).create_topic(name, *options)
        return name

    def group(self, topic, ordered=True, broker=None, options=()):
        """A new group bound to `topic`."""
        name = f"group-{self._folder.name}-{next(self._numbers)}"
        (broker or self.broker).create_group(name, topic, ordered, *options)
        return name

    def driver(self, broker=None, credentials=("", "")):
        """A new process with clients of the SDK, which have an access key and a secret if they are given."""
        number = next(self._numbers)
        endpoint = (broker or self.broker).endpoint
        access_key, secret = credentials
        own = {"LITEMQ_SDK_ACCESS_KEY": access_key, "LITEMQ_SDK_SECRET": secret}
        driver = Driver(
            self.sdk.command(endpoint, log_folder=self._folder),
            {**self.sdk.environment_for(self._folder), **own},
            self._folder / f"driver-{number}.log",
        )
        self._cleanups.append(driver.kill)
        return driver

    def program(self, main, *arguments, flags=()):
        """A program that speaks no protocol; its output is in the file that is returned with it."""
        output = self._folder / f"program-{next(self._numbers)}.log"
        command = self.sdk.command(*arguments, log_folder=self._folder, main=main)
        with open(output, "wb") as log:
            process = processes.start(
                [command[0], *flags, *command[1:]], env=self.sdk.environment_for(self._folder),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._cleanups.append(lambda: (process.kill(), process.wait()))
        return process, output

    def file(self, name, content):
        path = self._folder / name
        path.write_text(content)
        return path

    def own_broker(self, listen=None, is_guarded=False):
        """A broker for this case alone: to be killed, to listen at a special address, or to ask for credentials."""
        broker = Broker(self._binary, self._folder / f"broker-{next(self._numbers)}", listen, is_guarded)
        self._cleanups.append(broker.stop)
        return broker.start()

    def clean_up(self):
        for cleanup in reversed(self._cleanups):
            cleanup()


def check(is_right, complaint):
    if not is_right:
        raise CaseFailed(complaint)


def until(what, is_so, within_s):
    """Asks again and again until the answer is true."""
    deadline = time.monotonic() + within_s
    while not is_so():
        check(time.monotonic() < deadline, f"{what} did not come within {within_s} s")
        time.sleep(ASK_AGAIN_S)


def bodies(messages, lite=None):
    return [m.body for m in messages if lite in (None, m.lite)]


def first_arrivals(messages, lite):
    """The bodies of one lite topic in the order of their first arrival."""
    return list(dict.fromkeys(bodies(messages, lite)))
