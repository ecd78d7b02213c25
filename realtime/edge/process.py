"""The stream-edge process: puts its parts together, and serves until it is told to end."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from realtime import logs
from realtime.auth import ticket_secret
from realtime.config import Config
from realtime.edge.access import Access
from realtime.edge.audience import Counters
from realtime.edge.http import EdgeHttp, make_app
from realtime.edge.live import Heard, Live, Lives
from realtime.edge.passes import Passes
from realtime.edge.passing import Arrivals, Passed
from realtime.edge.ports import Edge, Gateway, RemoteGateway, Watching
from realtime.edge.readers import Readers
from realtime.edge.replay import Replay
from realtime.edge.viewers import Viewers
from realtime.gateway.addresses import parse_networks
from realtime.gateway.http_edge import HttpLimits, Peer, nothing_to_release
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import GalaxyServer, make_server
from realtime.gateway.websocket import Limits, websocket_class
from realtime.gateway.wheel import Wheel
from realtime.heap import Heap
from realtime.ports import Clock
from realtime.scheduling import give_way
from realtime.worker import Inherited
from relay import unix
from relay.feed import FeedReader
from relay.feed_values import Over
from relay.ports import Reason
from relay.rpc import Method, methods_of
from relay.rpc_links import Listener
from rooms.live import BEAT_MS

log = structlog.get_logger("realtime.edge")

CLIENT_MESSAGE_BYTES = 1_024
"""Viewers have nothing to say."""
HLS_SECONDS = 30.0
"""Who has asked for no playlist for so long does not watch any more."""
KEPT_SECONDS = 60.0
"""How long a stream that is over can be asked for."""
DRAIN_SECONDS = 2.0
LAST_WORDS_SECONDS = 2.0
"""So long what a gateway says is over is left to its media process, which has its last parts."""
LOST_SECONDS = BEAT_MS / 1_000 + 5.0
"""Beside the grace: by then a gateway has noticed that a media process is gone, and ended what did not come back."""


def feed_path(config: Config, process: int) -> Path:
    """Where media process `process` gives its parts."""
    return config.data / "run" / f"feed-{process}.sock"


def passing_path(config: Config, number: int) -> Path:
    return config.data / "run" / f"edge-{number}.pass"


def asking_path(config: Config, number: int) -> Path:
    """Where gateways and edge process `number` ask each other (`realtime.edge.ports`)."""
    return config.data / "run" / f"edge-{number}.sock"


class EdgeServer:
    """Is what gateways ask (`realtime.edge.ports.Edge`). To be made within a loop."""

    def __init__(self, config: Config, gateway: Gateway, clock: Clock):
        self.counters = Counters()
        self.forgotten = 0
        """Streams that cannot be asked for any more."""
        self.access = Access(Passes(ticket_secret(config)), gateway, clock)
        lost_seconds = config.relay.grace_seconds + LOST_SECONDS
        self.lives = Lives(config.relay.dvr_seconds, lost_seconds, self.counters, self.gone)
        self.viewers = Viewers(self.lives, self.access)
        self.readers = Readers(self.access)
        self.http = EdgeHttp(self.lives, self.access, Replay(config.media_folder), self.readers)
        self.wheel = Wheel()
        limits = config.limits
        self._sockets = websocket_class(
            self.viewers,
            self.wheel,
            Limits(
                max_message=CLIENT_MESSAGE_BYTES,
                ping_seconds=limits.heartbeat_ms / 1_000,
                pong_seconds=limits.pong_seconds,
                notsent_lowat=limits.notsent_lowat,
            ),
        )
        bounds = HttpLimits(
            head_bytes=limits.head_bytes,
            body_bytes=limits.body_bytes,
            head_seconds=limits.head_seconds,
            body_seconds=limits.body_seconds,
            incomplete_per_address=limits.incomplete_requests_per_address,
            open_per_address=limits.connections_per_address,
        )
        requests = http_class(bounds, parse_networks(config.server.trusted_proxies))
        self._counts = requests.edge
        self.server: GalaxyServer = make_server(
            make_app(self.http),
            ws_class=self._sockets,
            http_class=requests,
            drain=self._leave,
            drain_seconds=DRAIN_SECONDS,
        )
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()

    async def revoke(self, room: str, user: str) -> None:
        self.access.rights.revoke(room, user)
        self.viewers.revoke(room, user)
        self.readers.revoke(room, user)
        if (live := self.lives.rooms.get(room)) is not None:
            live.hls_viewers.pop(user, None)

    async def refresh(self, room: str) -> None:
        self.access.rights.refresh(room)

    async def recordings_changed(self, room: str) -> None:
        await self.readers.changed(room)

    async def ended(self, room: str, session: str, reason: Reason) -> None:
        live, over = self.lives.rooms.get(room), Over(reason)
        if live is None or live.began.session != session:
            return
        if over.hidden:
            self.lives.end(live, over)
        else:
            self._loop.call_later(LAST_WORDS_SECONDS, self.lives.end, live, over)

    async def watching(self) -> tuple[Watching, ...]:
        since = self._loop.time() - HLS_SECONDS
        found = []
        for room, live in self.lives.rooms.items():
            if live.over is not None:
                continue
            live.hls_viewers = {user: at for user, at in live.hls_viewers.items() if at > since}
            stream = {viewer.user for viewer in self.viewers.all if viewer.live is live}
            found.append(Watching(room, tuple(stream), tuple(live.hls_viewers)))
        return tuple(found)

    def take(self, passed: Passed, sock: socket.socket) -> None:
        """A viewer's socket, from a gateway."""
        task = self._loop.create_task(self._take(passed, sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _take(self, passed: Passed, sock: socket.socket) -> None:
        try:
            name = sock.getpeername()
        except OSError:  # the client has gone meanwhile
            sock.close()
            return
        release = self._counts.count_open(name[0]) if isinstance(name, tuple) else nothing_to_release  # a Unix socket
        peer = Peer(passed.address, 0, False, release or nothing_to_release)
        connection = self._sockets(self.server.config, self.server.server_state, {"peer": peer})
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:  # likewise
            peer.release()
            sock.close()
            return
        if release is None:
            self._counts.refused["connections"] += 1
        self.viewers.take(passed, connection, too_many=release is None)

    def gone(self, live: Live) -> None:
        """The stream is over."""
        self.viewers.end(live)
        self._loop.call_later(KEPT_SECONDS, self._forget, live)

    def _forget(self, live: Live) -> None:
        if self.lives.rooms.get(live.began.room) is live:
            del self.lives.rooms[live.began.room]
        self.forgotten += 1

    async def _leave(self) -> None:
        self.viewers.leave()

    def admin(self, heap: Heap) -> Starlette:
        """What the process says of itself."""
        registry = CollectorRegistry()
        for name, text, read in self._gauges(heap):
            Gauge(name, text, registry=registry).set_function(read)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

        async def ready(_: Request) -> Response:
            draining = self.server.draining
            return PlainTextResponse("draining\n" if draining else "ok\n", 503 if draining else 200)

        return Starlette(routes=[Route("/metrics", metrics), Route("/readyz", ready)])

    def _gauges(self, heap: Heap) -> tuple[tuple[str, str, Callable[[], float]], ...]:
        return (
            ("galaxy_edge_streams", "Streams that are served.", lambda: len(self.lives.rooms)),
            (
                "galaxy_edge_streams_untrimmed",
                "Streams forgotten since the heap was trimmed.",
                lambda: heap.untrimmed,
            ),
            ("galaxy_edge_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks())),
            ("galaxy_edge_stream_viewers", "Viewers by fMP4 over WebSocket.", lambda: len(self.viewers.all)),
            ("galaxy_edge_readers", "Requests to which a recording is being sent.", lambda: len(self.readers.all)),
            ("galaxy_edge_waiting", "Requests that wait for a part.", lambda: self.http.waiting),
            (
                "galaxy_edge_denials_forgotten",
                "Revocations that were held for less than their time.",
                lambda: self.access.rights.forgotten,
            ),
            ("galaxy_edge_parts", "Parts written to their viewers.", lambda: self.counters.parts),
            ("galaxy_edge_parts_skipped", "Parts that slow viewers were spared.", lambda: self.counters.skipped),
        )


@asynccontextmanager
async def assembled(
    config: Config, number: int, clock: Clock, gateway: Gateway | None = None
) -> AsyncIterator[EdgeServer]:
    """Edge process `number`, connected to all media processes. `gateway`: instead of whichever connects."""
    methods: dict[str, Method] = {}
    gateways = Listener(methods)
    edge = EdgeServer(config, gateway or RemoteGateway(gateways), clock)
    methods.update(methods_of(Edge, edge))
    await gateways.start(unix.listen(asking_path(config, number)))
    readers = [FeedReader(feed_path(config, process), Heard(edge.lives)) for process in range(config.relay.processes)]
    working = (edge.wheel.run(), edge.viewers.ask_again(), edge.readers.ask_again(), *(one.run() for one in readers))
    tasks = [asyncio.create_task(one) for one in working]
    try:
        with Arrivals(passing_path(config, number), edge.take):
            yield edge
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateways.close()


def run(config: Config, inherited: Inherited) -> int:
    """Serves until SIGTERM has been obeyed. Returns the process's exit code."""
    logs.setup(config.log)
    give_way()
    structlog.contextvars.bind_contextvars(edge=inherited.slot)
    return uvloop.run(_serve(config, inherited))


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


async def _serve(config: Config, inherited: Inherited) -> int:
    public, admin = inherited.sockets()
    async with assembled(config, inherited.slot, _wall_clock) as edge:
        heap = Heap(lambda: edge.forgotten, lambda: not edge.lives.rooms)
        edge.server.also(edge.admin(heap), admin)
        serving = asyncio.create_task(edge.server.serve(public))
        listening = asyncio.create_task(edge.server.listening.wait())
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(inherited.attend(edge.server)), tasks.create_task(heap.run())]
            await serving
            for task in beside:
                task.cancel()
    return 0
