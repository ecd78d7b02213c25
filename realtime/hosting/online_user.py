"""One user who is online: their connections, and what is kept up for them."""

from typing import Any, Protocol

from msgspec import Struct

from rooms.ids import Millis


class Recipient(Protocol):
    """A connection of a user."""

    @property
    def issued_ms(self) -> Millis | None:
        """When the token was issued by which the user was let in, 0 where it does not say; None until then."""

    def tell(self, event: dict[str, Any]) -> None:
        """Writes one event that belongs to no room."""

    def logged_out(self) -> None:
        """The user's sessions have ended: the connection is to be closed, behind the replies that it is owed."""


class Read(Struct):
    """A member's read state, kept up while the user is online. `stale`: only the store knows. `seen` counts the
    messages that the store had when it was read.
    """

    pos: int
    n: int
    mentions: int
    stale: bool = False
    seen: int = 0


class OnlineUser:
    """One user, from the first connection to the last."""

    __slots__ = ("changed", "id", "mentioned", "moved", "name", "reads", "recipients")

    def __init__(self, user: str, name: str):
        self.id = user
        self.name = name
        # Tuples, and sets made anew when there is something to tell: most users have little, and nothing to be told.
        self.recipients: tuple[Recipient, ...] = ()
        self.reads: dict[str, Read] = {}
        self.changed: set[str] | None = None
        """Rooms whose counts have changed since the user was told."""
        self.mentioned: dict[str, int] | None = None
        """Room → position of the latest mention, of which the user has not been told."""
        self.moved: set[str] | None = None
        """While the memberships are being read: the rooms that the user has joined or left meanwhile."""

    def add(self, recipient: Recipient) -> None:
        if recipient not in self.recipients:
            self.recipients = (*self.recipients, recipient)

    def discard(self, recipient: Recipient) -> None:
        self.recipients = tuple(other for other in self.recipients if other is not recipient)

    def touch(self, room: str) -> None:
        """The room's counts have changed for the user."""
        if self.changed is None:
            self.changed = set()
        self.changed.add(room)

    def forget(self, room: str) -> None:
        """Of the room the user is to be told nothing more."""
        self.reads.pop(room, None)
        if self.changed is not None:
            self.changed.discard(room)
        if self.mentioned is not None:
            self.mentioned.pop(room, None)

    def note(self, room: str) -> None:
        if self.moved is not None:
            self.moved.add(room)
