"""uWebSockets (C++), through socketify from PyPI."""

import sys
from pathlib import Path

from loadtest.peers.peer import launch, run
from loadtest.peers.relay_peer import RelayPeer
from loadtest.ports import free_port

PACKAGE = "socketify==0.0.31"
SCRIPT = Path(__file__).with_name("uwebsockets_server.py")


class UWebSockets(RelayPeer):
    """`publish` of its own topics, which joins a topic's messages of one turn of the loop by itself."""

    title = "uWebSockets"

    @classmethod
    def install(cls, folder: Path) -> None:
        if not _python(folder).exists():
            run(cls.title, [sys.executable, "-m", "venv", str(folder / "socketify")])
        run(cls.title, [str(_python(folder)), "-m", "pip", "install", "--quiet", PACKAGE])

    def version(self, folder: Path) -> str:
        return PACKAGE.replace("==", " ")

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        command = [str(_python(installed)), str(SCRIPT), str(self.port), self.form]
        self.process = launch(self.title, command, self.port, scratch)


def _python(folder: Path) -> Path:
    return folder / "socketify" / "bin" / "python"
