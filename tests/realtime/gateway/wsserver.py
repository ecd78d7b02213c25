"""Our server in a thread of its own, with a receiver that records what it is told."""

import asyncio
import queue
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from realtime.gateway.frames import BINARY, TEXT, encode
from realtime.gateway.handshake import Handshake
from realtime.gateway.server import GalaxyServer
from realtime.gateway.websocket import Acceptor, Connection, Limits, Receiver
from tests.echo import serving

T = TypeVar("T")
WAIT = 20  # seconds after which a test has failed


@dataclass(eq=False)
class Recorder:
    """The receiver of one connection: echoes, and records each call as a tuple that begins with its name."""

    handshake: Handshake
    connection: Connection
    on_message: Callable[[Connection, bytes], None] | None = None
    calls: "queue.Queue[tuple[Any, ...]]" = field(default_factory=queue.Queue)
    chokes: int = 0
    waited: int = 0
    endings: int = 0
    on_ending: Callable[[], None] | None = None

    def message(self, data: bytes, text: bool) -> None:
        self.calls.put(("message", data, text))
        if self.on_message is not None:
            self.on_message(self.connection, data)
        else:
            self.connection.write(encode(data, TEXT if text else BINARY))

    def waits(self) -> None:
        self.waited += 1

    def choked(self) -> None:
        self.chokes += 1

    def ending(self) -> None:
        self.endings += 1
        if self.on_ending is not None:
            self.on_ending()

    def writable(self) -> None:
        self.calls.put(("writable",))

    def closed(self, code: int, reason: str) -> None:
        self.calls.put(("closed", code, reason))

    def next(self) -> tuple[Any, ...]:
        return self.calls.get(timeout=WAIT)

    def next_closed(self) -> tuple[int, str]:
        """Skip to the last call, and make sure that it is the last."""
        while (call := self.next())[0] != "closed":
            pass
        assert self.calls.empty()
        assert self.endings <= 1
        return call[1], call[2]


@dataclass(eq=False)
class RecordingAcceptor:
    paths: Collection[str] = ("/v1/socket",)
    subprotocols: Collection[str] = ("galaxy.v1.json", "galaxy.v1.msgpack")
    on_accept: Callable[[Handshake, Connection], None] | None = None
    on_message: Callable[[Connection, bytes], None] | None = None
    recorders: "queue.Queue[Recorder]" = field(default_factory=queue.Queue)

    def allows_origin(self, origin: str, host: str) -> bool:
        return origin == f"http://{host}"

    def accept(self, handshake: Handshake, connection: Connection) -> Receiver:
        if self.on_accept is not None:
            self.on_accept(handshake, connection)
        recorder = Recorder(handshake, connection, self.on_message)
        self.recorders.put(recorder)
        return recorder

    def next(self) -> Recorder:
        """The recorder of the connection that was accepted next."""
        return self.recorders.get(timeout=WAIT)


@dataclass(eq=False)
class ServerThread:
    server: GalaxyServer
    loop: asyncio.AbstractEventLoop
    port: int

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` on the server's event loop."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(WAIT)

    @property
    def connections(self) -> int:
        return self.run(lambda: len(self.server.server_state.connections))


@contextmanager
def server_thread(acceptor: Acceptor, limits: Limits | None = None, tick: float = 0.25) -> Iterator[ServerThread]:
    started: queue.Queue[ServerThread] = queue.Queue()
    stop: asyncio.Event = asyncio.Event()

    async def main() -> None:
        async with serving(acceptor, limits, tick=tick) as server:
            started.put(ServerThread(server, asyncio.get_running_loop(), server.port))
            await stop.wait()

    thread = threading.Thread(target=uvloop.run, args=(main(),))
    thread.start()
    running = started.get(timeout=WAIT)
    try:
        yield running
    finally:
        running.loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT)
        assert not thread.is_alive()
