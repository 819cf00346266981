"""The Durable Streams server in Rust."""

from .peer import DURABLE, NO_CONSUMERS, PROCESS, Peer, free_port


class DurableStreams(Peer):
    name = "durable-streams"
    version = "0.1.5"
    protocol = "durable-streams"
    # A checkpoint syncs the whole file system: by the size of the log, as its own guide says, and not every 3 s.
    settings = {
        DURABLE: "--durability wal --wal-checkpoint-wal-bytes 1073741824 --wal-checkpoint-interval-ms 60000",
        PROCESS: "--durability memory",
    }
    flags = "HTTP/1.1"
    one_request_per_connection = True
    lacks = NO_CONSUMERS
    # It holds a descriptor for each stream, and most machines allow 20,000 or fewer.
    channels_max = 18_000
    # A start takes it up to 20 ms for each.
    density_max = 5_000

    def fetch(self):
        build = self.home / "build"
        self.tool("cargo", "install", "durable-streams", "--version", self.version, "--locked", "--root", self.home,
                  CARGO_TARGET_DIR=build)
        self.remove(build)

    def launch(self, durability):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.spawn(self.home / "bin" / "durable-streams-server", "--port", port, "--data-dir", self.folder / "data",
                   *self.settings[durability].split())
