"""LiteMQ, from the release build of this repository."""

from urllib.error import URLError
from urllib.request import urlopen

from .peer import DURABLE, NO_CONSUMERS, Peer, free_port

SETTINGS = """
[[topics]]
name = "bench"

[[groups]]
name = "consumers"
bind = "bench"
client_quota = -1

[[groups]]
name = "owners"
bind = "bench"
client_quota = -1
mode = "exclusive"
"""


class LiteMq(Peer):
    name = "litemq"
    version = "here"
    protocol = "rocketmq"
    settings = {DURABLE: "default"}
    flags = "gRPC"
    take_over_group = "owners"

    def fetch(self):
        """It is built, not fetched."""

    def launch(self, durability):
        self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        config = self.folder / "litemq.toml"
        config.write_text(SETTINGS)
        self.spawn(self.binaries / "litemq", "serve", f"--config={config}", f"--data={self.folder / 'data'}",
                   f"--listen={self.address}", f"--http={self.http}")

    def written_bytes(self):
        """Segments are made ahead, 128 MiB each."""
        with urlopen(f"http://{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("litemq_storage_log_bytes_total "))

    def is_ready(self):
        try:
            with urlopen(f"http://{self.http}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False


class LiteMqHttp(LiteMq):
    """The same over its HTTP door, for the peers that speak HTTP."""

    name = "litemq-http"
    protocol = "litemq-http"
    flags = "HTTP/1.1, JSON; the door of administration, with at most 128 connections of one address"
    one_request_per_connection = True
    in_flight_max = {"append": 64}
    take_over_group = None
    lacks = {**dict.fromkeys(NO_CONSUMERS, "it is consumed over gRPC"), "density": "the same server as litemq",
             "stream": "it has no reader that waits"}

    def launch(self, durability):
        super().launch(durability)
        self.address = self.http
