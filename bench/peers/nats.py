"""NATS JetStream: one stream, a subject for each channel."""

from .peer import DURABLE, PROCESS, Peer, free_port

SETTINGS = """
listen: "{address}"
jetstream {{
  store_dir: "{store}"
  max_memory_store: 1GB
  max_file_store: 100GB
  {sync}
}}
"""


class Nats(Peer):
    name = "nats"
    version = "2.15.1"
    protocol = "nats"
    settings = {DURABLE: "sync_interval: always", PROCESS: "sync_interval: 2m"}
    flags = "JetStream, file storage"

    def fetch(self):
        self.tool("go", "install", f"github.com/nats-io/nats-server/v2@v{self.version}", GOBIN=self.home / "bin")

    def launch(self, durability):
        self.address = f"127.0.0.1:{free_port()}"
        config = self.folder / "nats.conf"
        config.write_text(SETTINGS.format(address=self.address, store=self.folder / "store", sync=self.settings[durability]))
        self.spawn(self.home / "bin" / "nats-server", "-c", config)
