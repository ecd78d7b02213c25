"""One connection of the load: a lean WebSocket client that keeps its place in its rooms' streams."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

from loadtest.codec import Codec, Seen
from loadtest.feed import Feed
from loadtest.wire import CLOSE, PING, PONG, masked, upgrade

LOST = "lost"
"""The code of the error that commands get whose connection ended before their reply."""


class Lost(Exception):
    """The server refused or ended a connection, or refused a command."""


class Client(asyncio.Protocol):
    """A user's connection, which may be made again and again. Replies go to whoever asked; other objects outside of the
    rooms' streams are ignored.
    """

    __slots__ = (
        "_buffer",
        "_codec",
        "_ended",
        "_last_id",
        "_token",
        "_transport",
        "_upgraded",
        "_waiting",
        "_welcomed",
        "feed",
        "user",
    )

    def __init__(self, user: str, token: str, codec: Codec, ended: Callable[["Client", Exception], None]) -> None:
        """`ended` is told when the server ends a connection after its welcome."""
        self.user = user
        self.feed = Feed(codec)
        self._token = token
        self._codec = codec
        self._ended = ended
        self._waiting: dict[int, Callable[[Seen], None]] = {}
        self._last_id = 0
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._welcomed: asyncio.Future[None] | None = None

    async def connect(self, host: str, port: int) -> None:
        """Returns once welcomed. Raises Lost, OSError."""
        loop = asyncio.get_running_loop()
        welcomed = self._welcomed = loop.create_future()
        self._buffer, self._upgraded = b"", False
        try:
            await loop.create_connection(lambda: self, host, port)
            self._write(upgrade(host, port, self._token, self._codec.subprotocol))
            await welcomed
        except BaseException:
            self.drop()
            raise
        finally:
            self._welcomed = None

    @property
    def connected(self) -> bool:
        return self._transport is not None and self._welcomed is None

    @property
    def busy(self) -> bool:
        """Whether a reply is still to come."""
        return bool(self._waiting)

    def send(self, command: dict[str, Any], answered: Callable[[Seen], None] | None) -> None:
        """Sends a command; `answered` is called with its reply, before anything is read that came behind it; with an
        error `lost` where none will come. None: the command gets no reply.
        """
        if answered is not None:
            self._last_id += 1
            self._waiting[self._last_id] = answered
            command = command | {"id": self._last_id}
        try:
            self._write(masked(self._codec.encode(command), self._codec.opcode))
        except Lost as error:
            self._unanswered(error)

    async def ask(self, command: dict[str, Any]) -> Seen:
        """Raises Lost for an error."""
        done: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

        def answered(reply: Seen) -> None:
            if not done.done():
                done.set_result(reply)

        self.send(command, answered)
        return accepted(command, await done)

    def drop(self) -> None:
        """Ends the connection as a lost network does, without a word."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            self.feed.interrupted()
            self._unanswered(Lost("dropped"))

    def stop_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            raise Lost("not connected")
        self._transport.write(data)

    def _unanswered(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered(Seen(type="error", code=LOST, message=str(error)))

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._upgraded:
                self.feed.take(data, self._private)
            else:
                self._shake_hands(data)
        except (Lost, msgspec.MsgspecError) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._fail(exc or Lost("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._transport is None:
            return
        welcomed = self._welcomed
        self.drop()
        if welcomed is None:
            self._ended(self, error)
        elif not welcomed.done():
            welcomed.set_exception(error)

    # What arrives

    def _shake_hands(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Lost(head.split(b"\r\n", 1)[0].decode())
        self._upgraded, self._buffer = True, b""
        if rest:
            self.feed.take(rest, self._private)

    def _private(self, opcode: int, payload: bytes, found: Seen | None) -> None:
        if found is not None:
            self._object(found)
        elif opcode == PING:
            self._write(masked(payload, PONG))
        elif opcode == CLOSE:
            raise Lost(f"closed: {int.from_bytes(payload[:2])} {payload[2:].decode()}")

    def _object(self, found: Seen) -> None:
        if found.id is not None and (answered := self._waiting.pop(found.id, None)) is not None:
            answered(found)
        elif found.type == "welcome":
            if self._welcomed is not None and not self._welcomed.done():
                self._welcomed.set_result(None)
        elif found.type in ("error", "room.removed", "room.reset"):
            raise Lost(f"{found.type}: {found.code}: {found.message}")


def accepted(command: dict[str, Any], reply: Seen) -> Seen:
    """The reply, if it is `ok`. Raises Lost."""
    if reply.type != "ok":
        raise Lost(f"{command['type']}: {reply.code}: {reply.message}")
    return reply
