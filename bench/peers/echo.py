"""No peer but a limit: a bare unary echo in the server library of LiteMQ, which answers the same requests with
answers of the same size and does nothing."""

from .peer import DURABLE, MEMORY, PROCESS, Peer, free_port


class Echo(Peer):
    name = "tonic-echo"
    version = "0.14"
    protocol = "rocketmq"
    # It keeps nothing, and stands beside every class as the limit of the protocol.
    settings = {DURABLE: "stores nothing", PROCESS: "stores nothing", MEMORY: "stores nothing"}
    flags = ""
    is_limit = True

    def fetch(self):
        """It is part of the load generator."""

    def launch(self, durability):
        self.address = f"127.0.0.1:{free_port()}"
        self.spawn(self.binaries / "litemq-bench", "echo-server", f"--listen={self.address}")
