"""uvicorn's server with a drain: on SIGTERM clients are told and served out before the listener closes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from os import PathLike
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from realtime.gateway.binding import port_of
from realtime.gateway.error_log import adopt_uvicorn_log, describe, report_loop_error

log = structlog.get_logger("realtime.gateway")

CLOSE_SECONDS = 2  # after the drain: responses in flight, close handshakes; then connections are cut
TLS_HANDSHAKE_SECONDS = 10.0
ARRIVING_SECONDS = 1.0
"""For who was accepted by a server that is replaced just then: to say what they want, and be served."""


class GalaxyServer(uvicorn.Server):
    """Use `await serve(sockets)` in a process, `running(server, sockets)` within an event loop that is not the
    server's. The sockets are bound (`realtime.gateway.binding.bind`), and closed at the end.

    `listening` is set once `port` is known and connections are accepted. `draining` is true from the first SIGTERM or
    SIGINT on, while the listener is still open: readiness fails on it. `serve()` raises OSError if it cannot listen.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]], drain_seconds: float) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.draining = False
        self.servers: list[asyncio.base_events.Server] = []
        self._also: list[tuple[uvicorn.Config, socket.socket]] = []
        self._drain = drain
        self._drain_seconds = drain_seconds
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on. Raises RuntimeError before `listening`."""
        if not self.listening.is_set():
            raise RuntimeError("not listening yet")
        return self._port

    def also(self, app: ASGIApp, sockets: Sequence[socket.socket]) -> None:
        """Serves `app` (HTTP) too, on sockets of its own, for as long as it serves. To be called before `serve`."""
        config = _config(app, self.config.timeout_keep_alive, http=self.config.http, ws="none")
        self._also += [(config, sock) for sock in sockets]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but with bounded TLS handshakes, and an OSError for the caller."""
        if not sockets:
            raise ValueError("the server is given its sockets")
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(report_loop_error)
        await self.lifespan.startup()
        self._port = port_of(sockets)
        for config, sock in [*((self.config, sock) for sock in sockets), *self._also]:
            await self._listen(loop, config, sock)
        self.started = True
        self.listening.set()

    async def _listen(self, loop: asyncio.AbstractEventLoop, config: uvicorn.Config, sock: socket.socket) -> None:
        if not config.loaded:
            config.load()

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn's signature for `http=`
                config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        server = await loop.create_server(
            protocol,
            sock=sock,
            ssl=config.ssl,
            ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if config.ssl else None,
            backlog=config.backlog,
        )
        self.servers.append(server)

    def yield_place(self) -> None:
        """For who has been replaced: accepts nothing more, as another process now does so from the same sockets, and
        drains, once those who were accepted last have arrived.
        """
        for server in self.servers:
            server.close()
        asyncio.get_running_loop().call_later(ARRIVING_SECONDS, self.begin_drain)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal handler. The first signal begins the drain, the second ends the server at once.

        Not recorded for uvicorn, which would raise the signal again after `serve()`: the caller still has to clean up.
        """
        if self.draining or not self.started or self._loop is None:
            self.should_exit = self.force_exit = True
        else:
            self.draining = True
            self._loop.call_soon_threadsafe(self.begin_drain)

    def begin_drain(self) -> None:
        """What SIGTERM does, for callers within the loop. Idempotent."""
        self.draining = True
        if self._drain_task is None:
            self._drain_task = asyncio.get_running_loop().create_task(self._drain_and_exit())

    async def _drain_and_exit(self) -> None:
        try:
            # Not wait_for: that would wait for a drain which does not end on cancellation either.
            drain = asyncio.ensure_future(self._drain())
            done, _ = await asyncio.wait({drain}, timeout=self._drain_seconds)
            if not done:
                drain.cancel()
                log.warning("drain_timeout", seconds=self._drain_seconds)
            elif not drain.cancelled() and (error := drain.exception()) is not None:
                log.error("drain_failed", **describe(error))
        finally:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.force_exit and self._drain_task is not None:
            self._drain_task.cancel()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # connection_lost is called in the next turn


def make_server(
    app: ASGIApp,
    *,
    ws_class: type[asyncio.Protocol],
    http_class: type[asyncio.Protocol],
    drain: Callable[[], Awaitable[None]],
    drain_seconds: float = 10.0,
    keep_alive_seconds: int = 75,
    certfile: str | PathLike[str] | None = None,
    keyfile: str | PathLike[str] | None = None,
) -> GalaxyServer:
    """A server for `app` (HTTP) and `ws_class` (WebSocket) on one port.

    `drain` runs once on the first signal, for at most `drain_seconds`, with the listener still open. The process has
    ended `CLOSE_SECONDS` and a few tenths later, whatever clients do.
    """
    adopt_uvicorn_log()
    tls = {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
    config = _config(app, keep_alive_seconds, http=http_class, ws=ws_class, **tls)
    return GalaxyServer(config, drain, drain_seconds)


def _config(app: ASGIApp, keep_alive_seconds: int, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        workers=1,
        backlog=4096,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        **more,
    )


@asynccontextmanager
async def running(server: GalaxyServer, sockets: list[socket.socket]) -> AsyncIterator[GalaxyServer]:
    """Serve within the present loop, without touching signals; drained and closed on leaving."""
    serving: asyncio.Task[Any] = asyncio.create_task(server._serve(sockets))
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        listening.cancel()
        await serving
    try:
        yield server
    finally:
        server.begin_drain()
        await serving
