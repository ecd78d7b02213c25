"""The writing half of a connection, over a real socket whose other end a test holds."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from realtime.fanout.hub import Hub
from realtime.gateway.outgoing import Cork, Outgoing
from rooms.actors import Actor

W = TypeVar("W", bound="Wire")

SMALL = 4_096
"""Bytes; the kernel makes of it the least that it allows."""


class Wire(Outgoing):
    """Records what it is told, in order."""

    high_water = 20_000
    notsent_lowat = 0

    def __init__(self, cork: Cork):
        super().__init__()
        self.cork = cork  # type: ignore[misc]  # each test has its own
        self.calls: list[str] = []
        self.made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    @property
    def clear(self) -> bool:
        return self._clear

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.start_writing()
        self.made.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_writing()
        self.lost.set_result(exc)

    def write(self, frames: bytes | memoryview) -> None:
        self.send(frames)

    def waits(self) -> None:
        self.calls.append("waits")

    def chokes(self) -> None:
        self.calls.append("chokes")

    def drained(self) -> None:
        self.calls.append("drained")


class Listening(Wire):
    """A wire that listens to rooms, as an endpoint does."""

    def __init__(self, cork: Cork, user: str, form: Any, hub: Hub):
        super().__init__(cork)
        self.user = user
        self.actor = Actor(user=user, name=user)
        self.form = form
        self.rooms: set[str] = set()
        self._hub = hub

    @property
    def connection(self) -> Wire:
        return self

    @property
    def out(self) -> Callable[[bytes], object]:
        return self.send

    @property
    def lagging(self) -> bool:
        return self.choked

    def waits(self) -> None:
        super().waits()
        for room in self.rooms:
            self._hub.waits(room, self)

    def chokes(self) -> None:
        super().chokes()
        for room in self.rooms:
            self._hub.lags(room, self)

    def drained(self) -> None:
        super().drained()
        for room in self.rooms:
            self._hub.keeps_up(room, self)

    def connection_lost(self, exc: Exception | None) -> None:
        for room in self.rooms:
            self._hub.remove(room, self, gone=True)
        self.rooms.clear()
        super().connection_lost(exc)

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        raise AssertionError("the hub expels nobody by itself")

    def too_slow(self) -> None:
        raise AssertionError("nobody is given up here")


def pair(kind: str) -> tuple[socket.socket, socket.socket]:
    """Two ends, of which the first sends; `kind` is tcp or unix. The kernel takes little that is not read."""
    if kind == "unix":
        ours, theirs = socket.socketpair()
    else:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs.connect(server.getsockname())
            ours, _ = server.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


async def wired(kind: str, make: Callable[[], W]) -> tuple[W, socket.socket]:
    """A wire, and the other end of it."""
    ours, theirs = pair(kind)
    loop = asyncio.get_running_loop()
    connect: Any = loop.create_unix_connection if kind == "unix" else loop.create_connection
    _, wire = await connect(make, sock=ours)
    return wire, theirs


def read(theirs: socket.socket, size: int = 1 << 20) -> bytes:
    """What is there, up to so many bytes."""
    found = bytearray()
    while len(found) < size:
        try:
            piece = theirs.recv(size - len(found))
        except BlockingIOError:
            break
        if not piece:
            break
        found += piece
    return bytes(found)


async def read_at_least(theirs: socket.socket, size: int) -> bytes:
    """All that is there once it is so many bytes, with the loop going round meanwhile."""
    found = read(theirs)
    async with asyncio.timeout(20):
        while len(found) < size:
            await asyncio.sleep(0)
            found += read(theirs)
    return found
