"""One server of a comparison and its subscribers, driven by a process of its own.

Each side has its own process because the subscribers of two servers together would need more open files than a
process may have.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from loadtest.bench_clocks import Clocks
from loadtest.bench_crowd import Crowd
from loadtest.bench_room import Room, Taken
from loadtest.peers import SERVERS
from loadtest.peers.peer import PUBLISHER, Codec, Failed, Message
from loadtest.texts import texts
from realtime.gateway.codecs import JSON, MSGPACK
from rooms.actors import By
from rooms.events import Body, MessageCreated

SERVER_CORE, CLIENT_CORE = 0, 1
CYCLE = 256
"""Different messages, sent over and over."""
POS = 100_000
"""The position that peers' events bear; as many digits as ours have for most of a run."""


class Figure(Struct, frozen=True):
    """One measurement of one server."""

    deliveries_per_second: float
    microseconds: float
    """Of the server's processor time, a delivery."""
    server_cpu: float
    """Share of a core, all threads and child processes."""
    client_cpu: float
    """Share of a core."""
    p50: float
    """Milliseconds from sending until the last subscriber had it."""
    p99: float


class Side:
    """Runs within a `with`. `server` is a name of `loadtest.peers.SERVERS`. All methods raise Failed."""

    def __init__(self, server: str, codec: str, installed: Path, scratch: Path):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, server, codec, installed, scratch), daemon=False)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()

    def open(self, subscribers: int) -> None:
        """Connects them, all to one room."""
        self._ask("open", subscribers)

    def texts(self, characters: int) -> None:
        """From now on messages are of texts so long."""
        self._ask("texts", characters)

    def verify(self, window: int) -> None:
        """See `Room.verify`."""
        self._ask("verify", window)

    def measure(self, window: int, warm_up: float, seconds: float) -> Figure:
        """See `Room.measure`."""
        figure: Figure = self._ask("measure", window, warm_up, seconds)
        return figure

    def _ask(self, *what: Any) -> Any:
        self._pipe.send(what)
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise Failed(f"the process that drives a server ended at {what}") from None
        if isinstance(answer, Failed):
            raise answer
        return answer


def _serve(pipe: Connection, server: str, codec: str, installed: Path, scratch: Path) -> None:
    """The driving process: does what is asked until the other end is closed."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with TemporaryDirectory(prefix=f"{server}-", dir=scratch) as folder:
        driver = _Driver(server, codec, installed, Path(folder))
        commands: dict[str, Callable[..., Any]] = {
            "open": driver.open,
            "texts": driver.texts,
            "verify": driver.verify,
            "measure": driver.measure,
        }
        try:
            while True:
                name, *arguments = pipe.recv()
                try:
                    pipe.send(commands[name](*arguments))
                except Failed as error:
                    pipe.send(error)
                except OSError as error:
                    pipe.send(Failed(f"{driver.peer.title}: {error}"))
        except EOFError:
            return
        finally:
            driver.close()


class _Driver:
    def __init__(self, server: str, codec: str, installed: Path, scratch: Path):
        self.peer = SERVERS[server](Codec(codec))
        self._installed = installed
        self._scratch = scratch
        self._crowd: Crowd | None = None
        self._rooms: list[str] = []
        self._room: Room | None = None

    @property
    def crowd(self) -> Crowd:
        if self._crowd is None:
            raise Failed("nobody is connected")
        return self._crowd

    @property
    def room(self) -> Room:
        if self._room is None:
            raise Failed("no texts are chosen")
        return self._room

    def open(self, subscribers: int) -> None:
        with _on_core(SERVER_CORE):
            self.peer.start(self._installed, self._scratch)
        self._rooms = self.peer.create(1)
        self._crowd = Crowd(self.peer, [self._rooms] * subscribers)

    def texts(self, characters: int) -> None:
        self._room = Room(self.crowd, messages(self.peer.codec, self._rooms[0], characters))

    def verify(self, window: int) -> None:
        self.room.verify(window)

    def measure(self, window: int, warm_up: float, seconds: float) -> Figure:
        return _figure(self.room.measure(window, warm_up, seconds, Clocks(self.peer.pid)), len(self.crowd.subscribers))

    def close(self) -> None:
        if self._crowd is not None:
            self._crowd.close()
        self.peer.stop()


def messages(codec: Codec, room: str, characters: int) -> list[Message]:
    """What is sent to a room, with the events that our server would deliver."""
    encode = (JSON if codec.text else MSGPACK).encode
    by = By(id=PUBLISHER, name=PUBLISHER, role="owner")
    at = int(time.time() * 1_000)
    made = []
    for text in texts(characters)[:CYCLE]:
        body = Body(text=text.ljust(characters, "."), n=POS, mentions=())
        event = MessageCreated(room=room, pos=POS, at=at, by=by, message=body)
        made.append(Message(room, body.text, encode(event)))
    return made


def _figure(taken: Taken, listeners: int) -> Figure:
    """`listeners` of each message."""
    deliveries = taken.messages * listeners
    waits = sorted(taken.waits)
    return Figure(
        deliveries_per_second=deliveries / taken.seconds,
        microseconds=1e6 * taken.server_cpu / deliveries,
        server_cpu=taken.server_cpu / taken.seconds,
        client_cpu=taken.client_cpu / taken.seconds,
        p50=1e3 * _percentile(waits, taken.messages, 0.50),
        p99=1e3 * _percentile(waits, taken.messages, 0.99),
    )


def _percentile(waits: list[tuple[float, int]], messages: int, share: float) -> float:
    """Nearest rank."""
    left = share * messages
    for wait, count in waits:
        left -= count
        if left <= 0:
            return wait
    return waits[-1][0]


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Processes started within run there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
