"""What is heard from one Redis server."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from realtime.brokers.redis_line import PING_SECONDS, Connect, Line

TOGETHER = 500
"""Channels of one command."""
SILENCE_SECONDS = 3 * PING_SECONDS
"""A server that has not even answered a ping for so long is taken for gone."""
WITHOUT_PAUSE = 64
"""Messages taken before the rest of the process has its turn."""


class Subscriber:
    """Keeps subscriptions to the channels that are wanted, over one connection after the other."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        *,
        sharded: bool,
        heard: Callable[[str, bytes], None],
        resumed: Callable[[], None],
        moved: Callable[[], None],
        lost: Callable[[], None],
        seconds: float,
    ):
        """`heard` gets a channel and what was published there. `resumed` is called when, after a new connection, all
        that is wanted is subscribed to again; `moved` when a channel is no longer this server's.
        """
        self.up = False
        """Whether all is heard that was wanted when the connection was made."""
        self._verb = "SSUBSCRIBE" if sharded else "SUBSCRIBE"
        self._unverb = "SUNSUBSCRIBE" if sharded else "UNSUBSCRIBE"
        self._together = 1 if sharded else TOGETHER  # of one slot only, in a cluster
        self._heard = heard
        self._resumed = resumed
        self._moved = moved
        self._wanted: dict[str, asyncio.Future[None]] = {}
        """Channel → done when it is subscribed to."""
        self._new: set[str] = set()
        self._old: set[str] = set()
        self._missing: set[str] = set()
        """Wanted since before the connection, and not subscribed to yet."""
        self._wake = asyncio.Event()
        self._line = Line(f"subscribe to {name}", connect, self._use, lost, seconds)

    def start(self) -> None:
        self._line.start()

    async def stop(self) -> None:
        await self._line.stop()
        for subscribed in self._wanted.values():
            subscribed.cancel()
        self._wanted.clear()

    def want(self, channel: str) -> asyncio.Future[None]:
        """The future is done when all is heard that is published on the channel, or when it is not wanted any more."""
        subscribed = self._wanted.get(channel)
        if subscribed is None:
            subscribed = self._wanted[channel] = asyncio.get_running_loop().create_future()
            self._old.discard(channel)
            self._new.add(channel)
            self._wake.set()
        return subscribed

    def drop(self, channel: str) -> None:
        subscribed = self._wanted.pop(channel, None)
        if subscribed is None:
            return
        subscribed.cancel()
        self._missing.discard(channel)
        if channel in self._new:
            self._new.discard(channel)  # not asked for yet
        else:
            self._old.add(channel)
            self._wake.set()

    def ask_again(self) -> None:
        """For channels that were perhaps asked for when they were another server's."""
        self._new |= {channel for channel, subscribed in self._wanted.items() if not subscribed.done()}
        self._wake.set()

    async def _use(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        for channel, subscribed in self._wanted.items():
            if subscribed.done():
                self._wanted[channel] = loop.create_future()
        self._new, self._old, self._missing = set(self._wanted), set(), set(self._wanted)
        self._wake.set()
        working = {loop.create_task(self._read(connection)), loop.create_task(self._write(connection))}
        try:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.up = False
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _write(self, connection: AbstractConnection) -> None:
        """Subscribes, unsubscribes, and sends a ping each second."""
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await connection.send_packed_command(connection.pack_commands([("PING",)]))
                continue
            self._wake.clear()
            if not self._missing:
                self._complete()
            old, self._old = self._old, set()
            new, self._new = self._new, set()
            commands = [(self._unverb, *some) for some in _split(old, self._together)]
            commands += [(self._verb, *some) for some in _split(new, self._together)]
            if commands:
                await connection.send_packed_command(connection.pack_commands(commands))

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            for _ in range(WITHOUT_PAUSE):
                try:
                    said = await connection.read_response(
                        timeout=SILENCE_SECONDS, disconnect_on_error=False, push_request=True
                    )
                except MovedError:
                    self._moved()
                    continue
                if said is None:
                    raise TimeoutError(f"nothing heard for {SILENCE_SECONDS:.0f} s")
                match said:
                    case [b"message" | b"smessage", channel, data]:
                        self._heard(channel.decode(), data)
                    case [b"subscribe" | b"ssubscribe", channel, _]:
                        self._subscribed(channel.decode())
                    case [b"sunsubscribe", channel, _] if channel.decode() in self._wanted:
                        self._moved()
                    case _:
                        pass  # what is no longer wanted has ended, or a ping was answered
            await asyncio.sleep(0)

    def _subscribed(self, channel: str) -> None:
        subscribed = self._wanted.get(channel)
        if subscribed is not None and not subscribed.done():
            subscribed.set_result(None)
        if self._missing:
            self._missing.discard(channel)
            if not self._missing:
                self._complete()

    def _complete(self) -> None:
        if not self.up:
            self.up = True
            self._resumed()


def _split(channels: Iterable[str], most: int) -> Iterable[tuple[str, ...]]:
    rest = iter(channels)
    while some := tuple(islice(rest, most)):
        yield some
