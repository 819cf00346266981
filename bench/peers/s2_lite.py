"""s2-lite on a local disk; its log is synced every 5 ms, and an answer waits for that."""

from .peer import DURABLE, MEMORY, NO_CONSUMERS, Peer, free_port


class S2Lite(Peer):
    name = "s2-lite"
    version = "0.43.4"
    protocol = "s2-lite"
    settings = {DURABLE: "--local-root", MEMORY: ""}
    flags = "HTTP/1.1 JSON, flush every 5 ms"
    one_request_per_connection = True
    lacks = NO_CONSUMERS

    def fetch(self):
        build = self.home / "build"
        self.tool("cargo", "install", "s2-lite", "--version", self.version, "--locked", "--root", self.home,
                  CARGO_TARGET_DIR=build, CARGO_PROFILE_RELEASE_DEBUG="false")
        self.remove(build)

    def launch(self, durability):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        store = [f"--local-root={self.folder / 'store'}"] if durability == DURABLE else []
        (self.folder / "store").mkdir(exist_ok=True)
        self.spawn(self.home / "bin" / "server", "--port", port, "--no-dashboard", *store, SL8_FLUSH_INTERVAL="5ms")
