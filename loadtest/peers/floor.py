"""The floor: a bare loop of `send()` in C."""

from collections.abc import Sequence
from pathlib import Path

from loadtest.peers.peer import PUBLISHER, Message, Peer, launch, run, upgrade_request
from loadtest.ports import free_port
from loadtest.wire import BINARY, TEXT, framed

SOURCE = Path(__file__).with_suffix(".c")


class Floor(Peer):
    """What the publisher sends is sent on as it is, so the bench frames it as a server would."""

    title = "bare send() loop"
    topics = False

    @classmethod
    def install(cls, folder: Path) -> None:
        run(cls.title, ["cc", "-O2", "-Wall", "-Werror", "-o", str(folder / "floor"), str(SOURCE)])

    def version(self, folder: Path) -> str:
        return run(self.title, ["cc", "--version"]).splitlines()[0]

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        self.process = launch(self.title, [str(installed / "floor"), str(self.port)], self.port, scratch)

    def upgrade(self, name: str) -> bytes:
        return upgrade_request(self.port, "/publish" if name == PUBLISHER else "/")

    def subscribe(self, rooms: Sequence[str]) -> bytes:
        return b""

    def subscribed(self, data: bytes, rooms: int) -> bool:
        return True

    def publish(self, message: Message) -> bytes:
        return framed(message.event, TEXT if self.codec.text else BINARY)
