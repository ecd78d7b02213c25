"""How the bench speaks to those peers whose server script is its own: `subscribe`, `ok`, and rooms before events."""

from collections.abc import Sequence

from loadtest.peers.peer import Message, Peer, upgrade_request
from loadtest.wire import BINARY, TEXT, frame_at, masked


class RelayPeer(Peer):
    """A text message `ROOM ROOM ...` subscribes to rooms and is answered `ok`; a binary message `ROOM\\nEVENT` has the
    event sent to all of the room, in text or binary messages as the server was told.
    """

    def upgrade(self, name: str) -> bytes:
        return upgrade_request(self.port, "/")

    def subscribe(self, rooms: Sequence[str]) -> bytes:
        return masked(" ".join(rooms).encode(), TEXT)

    def subscribed(self, data: bytes, rooms: int) -> bool:
        found = frame_at(data, 0)
        return found is not None and data[found[1] : found[2]] == b"ok"

    def publish(self, message: Message) -> bytes:
        return masked(message.room.encode() + b"\n" + message.event, BINARY)

    @property
    def form(self) -> str:
        """The server script's argument."""
        return "text" if self.codec.text else "binary"
