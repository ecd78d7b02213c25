"""`websockets`' broadcast on uvloop: the usual way in Python."""

import sys
from importlib.metadata import version
from pathlib import Path

from loadtest.peers.peer import launch
from loadtest.peers.relay_peer import RelayPeer
from loadtest.ports import free_port

SCRIPT = Path(__file__).with_name("websockets_server.py")


class WebsocketsBroadcast(RelayPeer):
    """Runs in the product's own environment, which has it for its opening handshakes."""

    title = "websockets broadcast()"

    def version(self, folder: Path) -> str:
        return f"{version('websockets')} on uvloop {version('uvloop')}"

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        self.process = launch(self.title, [sys.executable, str(SCRIPT), str(self.port), self.form], self.port, scratch)
