"""What a side's own process does: runs the server on one core and its subscribers on another, and measures."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtest.bench.clocks import Clocks, family
from loadtest.bench.crowd import Crowd
from loadtest.bench.room import Room
from loadtest.bench.rooms import Rooms, spread
from loadtest.bench.timing import Figure, Timing
from loadtest.files import allow_many
from loadtest.peers import SERVERS
from loadtest.peers.peer import PUBLISHER, Codec, Failed, Message
from loadtest.texts import texts
from realtime.gateway.codecs import JSON, MSGPACK
from rooms.actors import By
from rooms.events import Body, MessageCreated

CYCLE = 256
"""Different texts, sent over and over."""
POS = 100_000
"""The position that the peers' events bear: as many digits as ours have for most of a run."""


def serve(pipe: Connection, server: str, codec: str, installed: Path, scratch: Path) -> None:
    """Does what is asked until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end's business, which then closes the pipe
    core, own = cores()
    os.sched_setaffinity(0, {own})
    allow_many()
    with TemporaryDirectory(prefix=f"{server}-", dir=scratch) as folder:
        driver = Driver(server, codec, installed, Path(folder), core)
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
        except (EOFError, BrokenPipeError):
            return
        finally:
            driver.close()


def cores() -> tuple[int, int]:
    """The server's and the subscribers'. Raises Failed where there is only one."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise Failed("the bench needs two processor cores: one for the server, one for its subscribers")
    return found[0], found[1]


class Driver:
    """One server, on `core`, and its subscribers. All methods raise Failed, OSError."""

    def __init__(self, server: str, codec: str, installed: Path, scratch: Path, core: int):
        self.peer = SERVERS[server](Codec(codec))
        self._core = core
        self._installed = installed
        self._scratch = scratch
        self._crowd: Crowd | None = None
        self._names: list[str] = []
        self._joined: list[list[str]] = []
        self._load: Room | Rooms | None = None

    @property
    def load(self) -> Room | Rooms:
        if self._load is None:
            raise Failed("no texts are chosen")
        return self._load

    def open(self, subscribers: int, each: int) -> None:
        """Starts the server and connects them, all to one room; or, where `each` is not 0, to as many rooms as there
        are subscribers, `each` to so many of them.
        """
        with _on_core(self._core):
            self.peer.start(self._installed, self._scratch)
        self._names = self.peer.create(subscribers if each else 1)
        self._joined = spread(self._names, each) if each else [self._names] * subscribers
        self._crowd = Crowd(self.peer, self._joined)
        self._pause()

    def texts(self, characters: int) -> None:
        """From now on messages are of texts so long."""
        if self._crowd is None:
            raise Failed("nobody is connected")
        if len(self._names) == 1:
            self._load = Room(self._crowd, messages(self.peer.codec, self._names * CYCLE, characters))
        else:
            made = messages(self.peer.codec, self._names, characters)
            self._load = Rooms(self._crowd, made, self._joined)

    def verify(self, window: int) -> None:
        """Raises Failed unless everybody receives exactly what was sent."""
        with self._running():
            self.load.verify(window)

    def measure(self, window: int, warm_up: float, seconds: float) -> Figure:
        with self._running():
            timing = Timing(Clocks(self.peer.pid, self._idle), warm_up, seconds)
            self.load.measure(window, timing)
        return timing.taken.figure(self.load.listeners)

    def _idle(self) -> float:
        return self._crowd.idle if self._crowd is not None else 0.0

    def close(self) -> None:
        if self._crowd is not None:
            self._crowd.close()
        self.peer.stop()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """The server is stopped but for this: there are some that poll when idle, on the other server's core."""
        for pid in family(self.peer.pid):
            os.kill(pid, signal.SIGCONT)
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            self._pause()

    def _pause(self) -> None:
        for pid in family(self.peer.pid):
            os.kill(pid, signal.SIGSTOP)


def messages(codec: Codec, rooms: list[str], characters: int) -> list[Message]:
    """One to each of these rooms, with the event that our server would deliver."""
    encode = (JSON if codec.text else MSGPACK).encode
    by = By(id=PUBLISHER, name=PUBLISHER, role="owner")
    at = int(time.time() * 1_000)
    different = [text.ljust(characters, ".") for text in texts(characters)[:CYCLE]]
    made = []
    for i, room in enumerate(rooms):
        body = Body(text=different[i % CYCLE], n=POS, mentions=())
        event = MessageCreated(room=room, pos=POS, at=at, by=by, message=body)
        made.append(Message(room, body.text, encode(event)))
    return made


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Processes started within run there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
