"""The two ends of `relay.rpc`: who connects, again and again, and who is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from msgspec.msgpack import Decoder

from relay import unix
from relay.ports import Refused
from relay.rpc import SECONDS, Counters, Lost, Methods, Peer

MOST_PEERS = 256
"""Beyond that the oldest goes."""

T = TypeVar("T")


class Link:
    """A connection that is made again whenever it breaks; `peer` is the present one. To be started within a loop.

    `greet` is called with each new connection before it is used; where it raises Refused another one is made.
    """

    FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0

    def __init__(
        self,
        path: Path,
        methods: Methods,
        *,
        counters: Counters | None = None,
        greet: Callable[[Peer], Awaitable[None]] | None = None,
    ):
        self.peer: Peer | None = None
        self._path, self._methods, self._counters, self._greet = path, methods, counters, greet
        self._made = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.peer is not None:
            self.peer.close()

    async def made(self) -> None:
        """Waits until there is a connection, and it has been greeted."""
        await self._made.wait()

    async def call(self, result: Decoder[T], method: str, *arguments: object, seconds: float = SECONDS) -> T:
        """As `Peer.call`; waits for a connection for as long as the call may take."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                await self.made()
        except TimeoutError:
            raise Lost(method) from None
        peer = self.peer
        if peer is None:
            raise Lost(method)
        return await peer.call(result, method, *arguments, seconds=max(0.001, deadline - loop.time()))

    async def _keep(self) -> None:
        delay = self.FIRST_DELAY
        while True:
            try:
                peer = await self._connect()
            except (OSError, Refused):
                await asyncio.sleep(delay)
                delay = min(self.LONGEST_DELAY, 2 * delay)
                continue
            delay = self.FIRST_DELAY
            self.peer = peer
            self._made.set()
            await peer.lost.wait()
            self._made.clear()
            self.peer = None
            await asyncio.sleep(delay)

    async def _connect(self) -> Peer:
        sock = unix.connect(self._path)
        try:
            _, peer = await asyncio.get_running_loop().create_unix_connection(
                lambda: Peer(self._methods, counters=self._counters), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        try:
            if self._greet is not None:
                await self._greet(peer)
        except BaseException:
            peer.close()
            raise
        return peer


class Listener:
    """The peers that connect to a socket of `relay.unix.listen`. `peers`: the one to be asked is the last."""

    def __init__(self, methods: Methods, *, counters: Counters | None = None):
        self.peers: list[Peer] = []
        self._methods, self._counters = methods, counters
        self._some = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Peer(self._methods, joined=self._join, left=self._leave, counters=self._counters), sock=sock
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for peer in tuple(self.peers):
            peer.close()
            await peer.lost.wait()

    async def call(self, result: Decoder[T], method: str, *arguments: object, seconds: float = SECONDS) -> T:
        """Asks the peer that came last, and where that is lost meanwhile another, for `seconds` in all: so the method
        has to be one that may be heard twice. One that did not answer in time is the last to be asked again. Raises
        Refused as `Peer.call`; Lost where there is none.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._some.wait()
            except TimeoutError:
                raise Lost(method) from None
            peer = self.peers[-1]
            try:
                return await peer.call(result, method, *arguments, seconds=max(0.001, deadline - loop.time()))
            except Lost:
                continue
            except Refused:
                if loop.time() >= deadline and peer in self.peers:
                    self.peers.remove(peer)
                    self.peers.insert(0, peer)
                raise

    def _join(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._some.set()
        if len(self.peers) > MOST_PEERS:
            self.peers[0].close()

    def _leave(self, peer: Peer) -> None:
        self.peers.remove(peer)
        if not self.peers:
            self._some.clear()
