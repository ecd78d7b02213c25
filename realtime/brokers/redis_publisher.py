"""Publishing to one Redis server."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from realtime.brokers.redis_line import PING_SECONDS, Connect, Line

WAITING_BYTES = 33_554_432
"""So much may wait; what comes on top is dropped, and found missing by who follows."""


class Publisher:
    """Sends what waits in one pipeline after the other: while one is under way, the next one's messages gather, those
    to one channel in one envelope.

    What waits, or is under way, when the connection is lost, is dropped; while there is none, everything is.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        node: str,
        *,
        verb: str,
        resumed: Callable[[], None],
        moved: Callable[[], None],
        lost: Callable[[], None],
        seconds: float,
    ):
        """`resumed` is called with each new connection, `moved` when the server says that a channel is another's,
        `lost` when the connection has gone. `seconds` is what connecting, or a pipeline, may take.
        """
        self.up = False
        self.bytes = 0
        """What waits."""
        self.dropped = 0
        self._node = node
        self._verb = verb
        self._resumed = resumed
        self._moved = moved
        self._seconds = seconds
        self._waiting: dict[str, list[msgspec.Raw]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        """Nothing waits or is under way."""
        self._idle.set()
        self._line = Line(f"publish to {name}", connect, self._use, lost, seconds)

    def start(self) -> None:
        self._line.start()

    async def stop(self) -> None:
        """Sends what waits, if that takes no longer than a pipeline may."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._idle.wait()
        except TimeoutError:
            self._drop()
        await self._line.stop()

    def put(self, channel: str, message: bytes) -> None:
        if not self.up or self.bytes + len(message) > WAITING_BYTES:
            self.dropped += 1
            return
        self._waiting.setdefault(channel, []).append(msgspec.Raw(message))
        self.bytes += len(message)
        self._idle.clear()
        self._wake.set()

    def _drop(self) -> None:
        self.dropped += sum(map(len, self._waiting.values()))
        self._waiting = {}
        self.bytes = 0

    async def _use(self, connection: AbstractConnection) -> None:
        self.up = True
        self._resumed()
        try:
            while True:
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    await self._send(connection, [("PING",)])
                self._wake.clear()
                if self._waiting:
                    await self._send_waiting(connection)
                if not self._waiting:
                    self._idle.set()
        finally:
            self.up = False
            self._drop()
            self._idle.set()

    async def _send_waiting(self, connection: AbstractConnection) -> None:
        waiting, self._waiting = self._waiting, {}
        self.bytes = 0
        commands = [
            (self._verb, channel, msgspec.msgpack.encode((self._node, messages)))
            for channel, messages in waiting.items()
        ]
        try:
            refused = await self._send(connection, commands)
        except BaseException:
            self.dropped += sum(map(len, waiting.values()))
            raise
        if refused:
            self.dropped += refused
            self._moved()

    async def _send(self, connection: AbstractConnection, commands: Sequence[tuple[str | bytes, ...]]) -> int:
        """Returns how many of the commands another server of the cluster is there for. Raises one of LOST."""
        refused = 0
        async with asyncio.timeout(self._seconds):
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    await connection.read_response(disconnect_on_error=False)
                except MovedError:
                    refused += 1
        return refused
