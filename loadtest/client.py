"""One connection of the load: a lean WebSocket client that keeps its place in one room's stream."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

from loadtest.stream import Follower, RoomStream, Wrong
from loadtest.wire import CLOSE, PING, PONG, TEXT, frame_at, masked, upgrade

Reply = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Lost(Exception):
    """The server refused or ended a connection."""


class Client(asyncio.Protocol):
    """A user's connection. Replies go to whoever asked; other objects outside of the room's stream are ignored."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._welcomed: asyncio.Future[None] = self._loop.create_future()
        self._waiting: dict[int, Callable[[Reply], None]] = {}
        self._last_id = 0
        self._buffer = b""
        self._upgraded = False
        self._follower: Follower | None = None
        self._transport: asyncio.Transport | None = None
        self.failure: Exception | None = None

    @classmethod
    async def connect(cls, host: str, port: int, token: str) -> "Client":
        """Returns once welcomed. Raises Lost, OSError."""
        _, client = await asyncio.get_running_loop().create_connection(cls, host, port)
        client._write(upgrade(host, port, token))
        await client._welcomed
        return client

    def follow(self, stream: RoomStream) -> None:
        """From now on what the room says is compared with the stream. To be called before any of it can come."""
        self._follower = Follower(stream)

    @property
    def behind(self) -> int:
        """Bytes of the room's stream that this connection has not received yet."""
        return self._follower.behind if self._follower else 0

    def send(self, command: dict[str, Any], answered: Callable[[Reply], None]) -> None:
        """Sends a command; `answered` is called with the reply's object."""
        self._last_id += 1
        self._waiting[self._last_id] = answered
        self._write(masked(_encode(command | {"id": self._last_id})))

    async def ask(self, command: dict[str, Any]) -> Reply:
        """Raises Lost for an error."""
        done: asyncio.Future[Reply] = self._loop.create_future()
        self.send(command, done.set_result)
        reply = await done
        if reply["type"] != "ok":
            raise Lost(f"{command['type']}: {reply['code']}: {reply['message']}")
        return reply

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        if self._transport is None:
            raise Lost("not connected")
        self._transport.write(data)

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._follower is not None:
                self._follower.feed(data, self._frame)
            else:
                self._feed(data)
        except (Lost, Wrong) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or Lost("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        if not self._welcomed.done():
            self._welcomed.set_exception(error)
        self.close()

    # What arrives

    def _feed(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        if not self._upgraded:
            head, end, _ = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Lost(head.split(b"\r\n", 1)[0].decode())
            self._upgraded, at = True, len(head) + len(end)
        while (found := frame_at(self._buffer, at)) is not None:
            opcode, payload, at = found
            self._frame(opcode, self._buffer[payload:at])
        self._buffer = self._buffer[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._object(_decode(payload))
        elif opcode == PING:
            self._write(masked(payload, PONG))
        elif opcode == CLOSE:
            raise Lost(f"closed: {int.from_bytes(payload[:2])} {payload[2:].decode()}")

    def _object(self, found: Reply) -> None:
        if found["type"] in ("ok", "error") and "id" in found:
            self._waiting.pop(found["id"])(found)
        elif found["type"] == "welcome":
            self._welcomed.set_result(None)
        elif found["type"] in ("error", "room.removed", "room.reset"):
            raise Lost(str(found))
