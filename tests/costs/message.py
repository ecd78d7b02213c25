"""What a message costs the server in processor time, by the steps of its way, without the kernel's part of delivering.

`python -m tests.costs.message --window 256 --rooms 2000`: bursts of so many messages, to one room after the other, from
one connection through the whole server to one listener a room that only counts. It runs on the first core alone. Other
work on the machine adds to all of it: compare runs of two versions that alternate, by their least figures.
"""

import argparse
import asyncio
import base64
import gc
import itertools
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import uvloop

from loadtest.tokens import token
from loadtest.wire import TEXT, masked
from realtime.app import SWITCH_SECONDS, assembled
from realtime.config import load
from realtime.fanout.turns import Turns
from realtime.gateway.codecs import JSON
from realtime.gateway.websocket import Connection
from realtime.hosting.host import Host
from realtime.hosting.rounds import Rounds
from realtime.stores.sqlite_writer import Writer
from rooms import commands as c
from rooms.actors import Actor, Role, Viewer

SECRET = "0123456789" * 4
AUTHOR = Actor(user="author", name="Author")
CHARACTERS = 120
TEXTS = 1_024
"""Different messages, where there are no more rooms than that."""
WARM_UP = 10
"""Bursts that are not counted."""

STEPS: tuple[tuple[str, type[Any], str], ...] = (
    ("receive: frames, codec, session", Connection, "data_received"),
    ("decide, judge", Rounds, "_begin"),
    ("settle: the room goes on, replies", Host, "settle"),
    ("follow: ring, unread counts, publishing", Host, "follow"),
    ("ticks: encoding, writing", Turns, "_turn"),
    ("the writer's thread: statements, commit, fsync", Writer, "_commit"),
)


class Line:
    """The transport of the author's connection: takes all, at once."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.welcomed = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        # As with TLS nothing goes past the transport.
        return {"socket": SimpleNamespace(family=socket.AF_UNIX), "sslcontext": True}.get(name, default)

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))
        if not self.welcomed.is_set() and b'"welcome"' in data:
            self.welcomed.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, **_: int) -> None:
        pass


class Counter:
    """One listener of every room; says when all of a burst has come."""

    user = "listener"
    actor = Actor(user="listener", name="Listener")
    form = JSON
    connection = None
    lagging = False
    unsent = 0

    def __init__(self) -> None:
        self._left = 0
        self.all = asyncio.Event()

    def expect(self, count: int) -> None:
        self._left = count
        self.all.clear()

    def out(self, frames: bytes | memoryview) -> None:
        self._left -= bytes(frames).count(b'"message.created"')
        if self._left <= 0:
            self.all.set()

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        raise AssertionError(notice)

    def too_slow(self) -> None:
        raise AssertionError("a counter is never too slow")


class Clocks:
    """Within a `with`: processor time by step, in seconds. No step runs within another, or it would count twice."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._untimed = [(owner, method, getattr(owner, method)) for _, owner, method in STEPS]

    def __enter__(self) -> "Clocks":
        self.reset()
        for name, owner, method in STEPS:
            setattr(owner, method, self._timed(name, getattr(owner, method)))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, method, untimed in self._untimed:
            setattr(owner, method, untimed)

    def reset(self) -> None:
        self.spent = dict.fromkeys((name for name, _, _ in STEPS), 0.0)

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return method(*arguments, **named)
            finally:
                self.spent[name] += time.thread_time() - began

        return timed


async def measure(folder: Path, window: int, rooms: int, bursts: int, clocks: Clocks) -> list[float]:
    """Microseconds a message of each burst, all threads."""
    environment = {
        "GALAXY_SERVER__DATA": str(folder),
        "GALAXY_AUTH__SECRET": SECRET,
        "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
    }
    async with assembled(load(None, environment), dev=False) as server:
        kind: Any = server.config.ws
        service = kind.acceptor.service
        line, counter = Line(), Counter()
        connection = kind(None, SimpleNamespace(connections=set()), {"peer": None})
        connection.connection_made(line)
        connection.data_received(_upgrade())
        await line.welcomed.wait()
        names = []
        for _ in range(rooms):
            command = c.RoomCreate(id=1, kind="group", visibility="public", title="Cost")
            room = (await service.answer(AUTHOR, command))["room"].id
            host = await service.directory.enter(room, AUTHOR)
            service.hub.add(service.hub.channel(room, host.epoch), counter, Viewer(counter.user, Role.NONE))
            names.append(room)
        frames = itertools.cycle([_message(names[i % rooms], i) for i in range(max(rooms, TEXTS))])
        gc.collect()
        gc.freeze()
        taken = []
        for number in range(WARM_UP + bursts):
            if number == WARM_UP:
                clocks.reset()
            data = b"".join(itertools.islice(frames, window))
            counter.expect(window)
            began = time.process_time()
            connection.data_received(data)
            await counter.all.wait()
            taken.append(1e6 * (time.process_time() - began) / window)
            line.written.clear()
        connection.connection_lost(None)
        return taken[WARM_UP:]


def _message(room: str, number: int) -> bytes:
    text = f"message {number} ".ljust(CHARACTERS, ".")
    return masked(JSON.encode({"type": "message.send", "id": 1, "room": room, "text": text}), TEXT)


def _upgrade() -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        "GET /v1/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: galaxy.v1.json\r\n"
        f"Authorization: Bearer {token(SECRET, AUTHOR.user, AUTHOR.name)}\r\n\r\n"
    ).encode()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.costs.message", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--window", type=int, default=256, help="messages a burst (256)")
    parser.add_argument("--rooms", type=int, default=1, help="rooms, a message to each in turn (1)")
    parser.add_argument("--bursts", type=int, default=100, help="that are counted (100)")
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.setswitchinterval(SWITCH_SECONDS)
    with tempfile.TemporaryDirectory() as folder, Clocks() as clocks:
        taken = uvloop.run(measure(Path(folder), given.window, given.rooms, given.bursts, clocks))
    print(f"{given.window} messages a burst, {given.rooms} rooms, {given.bursts} bursts; µs of processor a message")
    for name, seconds in clocks.spent.items():
        print(f"{1e6 * seconds / given.window / given.bursts:8.1f}  {name}")
    print(f"{median(taken):8.1f}  in all, median burst; least {min(taken):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
