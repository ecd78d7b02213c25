"""Who can listen to a room, and how what it hears is written."""

from collections.abc import Callable
from socket import SocketType
from typing import Any, Protocol

from rooms.actors import Actor


class Form(Protocol):
    """How events are written for one kind of listener: a codec of the gateway, or server-sent events."""

    def event(self, event: object, epoch: str) -> bytes:
        """The frame of one event, logged or not."""


class Connection(Protocol):
    """A connection, as its socket."""

    @property
    def socket(self) -> SocketType | None:
        """For as long as the listener is in any room, and not through TLS."""

    @property
    def clear(self) -> bool:
        """Whether the next bytes may be sent to `socket`. Never while the listener lags."""

    def write(self, frames: bytes | memoryview, /) -> object:
        """Takes what was not sent to `socket`, whatever the reason."""


class Listener(Protocol):
    """Who receives a room's events: a connection of `user`. It leaves its rooms before it may not be written to."""

    @property
    def user(self) -> str: ...

    @property
    def actor(self) -> Actor: ...

    @property
    def form(self) -> Form: ...

    @property
    def unsent(self) -> int:
        """Bytes that wait for this listener alone."""

    @property
    def lagging(self) -> bool:
        """Whether its connection takes no more for now. When that changes, it tells the hub for each of its rooms
        (`Hub.lags`, `Hub.keeps_up`).
        """

    @property
    def connection(self) -> Connection | None:
        """What is this listener's alone, and may be written to past `out` while it is clear. When that changes, the
        listener tells the hub for each of its rooms before anything more is written (`Hub.waits`, `Hub.keeps_up`).
        """

    @property
    def out(self) -> Callable[[bytes], object]:
        """Writes whole frames, behind all that was written before; uncopied: the same buffer goes to thousands."""

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        """The subscription of a room was ended; `notice` says why."""

    def too_slow(self) -> None:
        """More than the limit of unsent bytes waits for this listener: it is to leave all its rooms and be closed, and
        may recover.
        """
