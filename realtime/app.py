"""The composition root: the only place that names concrete adapters and puts the server together."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from socket import socket
from typing import TYPE_CHECKING

import structlog
import uvloop
from starlette.routing import BaseRoute

from moderation import WordList
from realtime import logs, ports
from realtime.auth import Authenticator, Tickets, ticket_secret
from realtime.brokers.memory import MemoryBroker
from realtime.brokers.memory_tallies import MemoryTallies
from realtime.config import Config
from realtime.demo import make_demo_rooms
from realtime.edge.passes import Passes
from realtime.gateway.addresses import parse_networks
from realtime.gateway.admission import Admission
from realtime.gateway.binding import bind, bind_admin
from realtime.gateway.door import Door
from realtime.gateway.draining import drain
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.outgoing import Cork
from realtime.gateway.server import GalaxyServer, make_server
from realtime.gateway.session import Limits as SessionLimits
from realtime.gateway.websocket import Limits as SocketLimits
from realtime.gateway.websocket import websocket_class
from realtime.gateway.welcome import Welcome
from realtime.gateway.wheel import Wheel
from realtime.hosting.bounds import Bounds
from realtime.hosting.service import Service
from realtime.http.app import make_app
from realtime.http.credentials import Credentials
from realtime.http.media import MediaRoutes
from realtime.http.rtmp import RtmpCallbacks
from realtime.http.stream import StreamDoor
from realtime.http.watching import Watching
from realtime.live.addresses import Addresses
from realtime.live.engines import Engines
from realtime.live.rooms import LiveSettings
from realtime.live.secrets import configured
from realtime.metrics import Metrics, Sources
from realtime.notify import announce, notify
from realtime.scheduling import ask_for_short_slices
from realtime.sinks.drain import Drain
from realtime.sinks.jsonl import JsonLinesSink
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.sqlite_driver import BUSY_MS
from realtime.worker import Inherited
from rooms.decide import Limits

if TYPE_CHECKING:
    from realtime.stores.postgres import PostgresStore
    from realtime.tracing_otlp import OtlpTracer

log = structlog.get_logger("realtime")

SWITCH_SECONDS = 0.0002
"""How long a thread that needs the interpreter waits for the event loop to let go of it. The store's writer needs it
several times a commit: at Python's 5 ms, a commit during a fan-out took longer than the fan-out (docs/decisions/0003).
"""


GC_THRESHOLDS = (20_000, 20, 50)
"""Cycles are rare here: at Python's 700 a batch of messages alone has several collections, and each tenth of them looks
at ten times as much.
"""


def wall_clock() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def run(config: Config, *, dev: bool, worker: Inherited | None = None) -> int:
    """Serves until SIGTERM or SIGINT has been obeyed, alone or as a `worker`. Returns the process's exit code."""
    logs.setup(config.log)
    if worker is not None:
        structlog.contextvars.bind_contextvars(worker=worker.slot)
    sys.setswitchinterval(SWITCH_SECONDS)
    if config.relay.processes:
        ask_for_short_slices()
    return uvloop.run(_serve(config, dev, worker))


async def _serve(config: Config, dev: bool, worker: Inherited | None) -> int:
    settings = config.server
    try:
        if worker is None:
            public = bind(settings.host, settings.port)
            admin = bind_admin(settings.admin_host, settings.admin_port, 0)
        else:
            public, admin = worker.sockets()
        async with assembled(config, dev=dev, admin=admin, number=worker.slot if worker else 0) as server:
            serving = asyncio.create_task(server.serve(public))
            listening = asyncio.create_task(server.listening.wait())
            await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
            listening.cancel()
            if serving.done():
                await serving
            elif worker is None:
                announce(settings.host, server.port)
                await serving
            else:
                async with asyncio.TaskGroup() as tasks:
                    attending = tasks.create_task(worker.attend(server))
                    await serving
                    attending.cancel()
    except (ports.Unavailable, OSError) as error:
        log.error("cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1
    return 0


@asynccontextmanager
async def assembled(
    config: Config, *, dev: bool, clock: ports.Clock = wall_clock, admin: Sequence[socket] = (), number: int = 0
) -> AsyncIterator[GalaxyServer]:
    """A server with all its parts, its rooms open, ready to `serve`; everything is let go of at the end. On the sockets
    `admin` it says how it is. `number`: which of this machine's gateways it is.

    Raises Unavailable where the store cannot be opened, ConfigError for keys that cannot be read.
    """
    limits = config.limits
    metrics = Metrics()
    authenticator = Authenticator(config.auth)
    tickets = Tickets(ticket_secret(config))
    store = make_store(config, clock)
    records = Drain(store, JsonLinesSink(config.records_folder), clock)
    cork = Cork()
    broker = _broker(config)
    tracer = _tracer(config, broker.node)
    service = Service(
        store,
        broker,
        _tallies(config, broker.node),
        WordList(config.moderation.blocked_words, config.moderation.masked_words),
        clock,
        Limits(
            edit_ms=limits.edit_seconds * 1_000,
            presence_names=limits.presence_names,
            grace_ms=config.relay.grace_seconds * 1_000,
            kyc=config.relay.kyc_required,
        ),
        Bounds(
            recover_events=limits.recover_events,
            recover_bytes=limits.recover_bytes,
            ring_bytes=limits.ring_bytes,
            joins_at_once=limits.joins_at_once,
            join_wait_seconds=limits.join_wait_seconds,
            presence_names=limits.presence_names,
            unsent_bytes=limits.unsent_bytes,
            invite_guesses_per_minute=limits.invite_guesses_per_minute,
            reactions_per_second=limits.reactions_per_second,
            live_comments_per_second=limits.live_comments_per_second,
        ),
        records.notify,
        metrics,
        cork,
        cork.flush,
        tracer,
        LiveSettings(
            configured(config),
            Addresses(config.relay.public_url, config.relay.rtmp_port, bool(config.relay.rtmp_certificate)),
            config.relay.record,
        ),
    )
    engines = Engines(config, service.live, counts=number == 0)
    service.live.reach = engines
    admission = Admission(authenticator, tickets, service, clock)
    wheel = Wheel()
    door = Door(service, admission, _welcome(config, dev), wheel, clock, metrics)
    sockets = websocket_class(
        door,
        wheel,
        SocketLimits(
            max_message=limits.message_bytes,
            ping_seconds=limits.heartbeat_ms / 1_000,
            pong_seconds=limits.pong_seconds,
            high_water=min(SocketLimits().high_water, limits.unsent_bytes or SocketLimits().high_water),
            notsent_lowat=limits.notsent_lowat,
        ),
        cork,
    )
    requests = http_class(
        HttpLimits(
            head_bytes=limits.head_bytes,
            body_bytes=limits.body_bytes,
            head_seconds=limits.head_seconds,
            body_seconds=limits.body_seconds,
            incomplete_per_address=limits.incomplete_requests_per_address,
            open_per_address=limits.connections_per_address,
        ),
        parse_networks(config.server.trusted_proxies),
    )
    watching = Watching(
        service, engines.node, Credentials(admission, service), Passes(ticket_secret(config)), config, clock
    )
    if config.relay.processes:
        requests.edge.door = StreamDoor(watching, engines, () if dev else config.server.allowed_origins)
    app = make_app(
        service=service,
        media=_media_routes(service, engines, admission, watching, config) if config.relay.processes else (),
        admission=admission,
        config=config,
        clock=clock,
        metrics=metrics,
        dev=dev,
        unready=lambda: "draining" if server.draining else None,
        degraded=lambda: ["broker"] if service.following.degraded else [],
    )

    async def leave() -> None:
        notify("STOPPING=1")
        await drain(door, app.end_streams, config.server.reconnect_within_ms, config.server.drain_seconds)

    server = make_server(
        app,
        ws_class=sockets,
        http_class=requests,
        drain=leave,
        drain_seconds=config.server.drain_seconds,
    )
    server.also(app.health.alone(), admin)
    metrics.watch(
        Sources(
            service=service,
            edge=requests.edge,
            broker=broker,
            sockets=sockets.counters,
            connections={"websocket": door.endpoints, "sse": app.streams},
            queues={"store_writes": lambda: store.waiting_writes, "store_reads": lambda: store.waiting_reads},
            outbox_lag_ms=lambda: records.lag_ms,
        )
    )
    await service.start()
    engines.start()
    background = [asyncio.create_task(wheel.run()), asyncio.create_task(authenticator.keep_keys_fresh())]
    records.start()
    try:
        if dev:
            await make_demo_rooms(service)
        # What start-up has made stays for good: no collection need look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        yield server
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await door.abandon()
        await records.close()
        await engines.close()
        await service.close()
        await authenticator.close()
        if tracer is not None:
            await tracer.close()


def make_store(
    config: Config, clock: ports.Clock = wall_clock, *, timeout_ms: int | None = None
) -> "SQLiteStore | PostgresStore":
    """The configured store, not opened yet. `timeout_ms`: for commands, instead of the configured time; they may also
    wait that long for a server that writes to the same file.
    """
    settings = config.store
    if settings.on_postgresql:
        from realtime.stores.postgres import PostgresStore  # noqa: PLC0415  # its driver, for those who use it

        return PostgresStore(
            settings.url,
            clock,
            timeout_ms=timeout_ms or settings.timeout_ms,
            write_lanes=settings.write_lanes,
            read_connections=settings.read_connections,
        )
    config.database.parent.mkdir(parents=True, exist_ok=True)
    return SQLiteStore(
        config.database, clock, busy_ms=timeout_ms or BUSY_MS, read_timeout_ms=timeout_ms or settings.timeout_ms
    )


def _broker(config: Config) -> ports.Broker:
    settings = config.broker
    if settings.on_redis:
        from realtime.brokers.redis import RedisBroker  # noqa: PLC0415  # its driver, for those who use it

        return RedisBroker(settings.url, prefix=settings.prefix, timeout_ms=settings.timeout_ms)
    return MemoryBroker()


def _tracer(config: Config, node: str) -> "OtlpTracer | None":
    settings = config.tracing
    if not settings.url:
        return None
    from realtime.tracing_otlp import OtlpTracer  # noqa: PLC0415  # its libraries, for those who use them

    system = "redis" if config.broker.on_redis else "memory"
    return OtlpTracer(settings.url, sample=settings.sample, service=settings.service, node=node, system=system)


def _tallies(config: Config, node: str) -> ports.Tallies:
    settings = config.broker
    if settings.on_redis:
        from realtime.brokers.redis_tallies import RedisTallies  # noqa: PLC0415  # its driver, for those who use it

        return RedisTallies(settings.url, node=node, prefix=settings.prefix)
    return MemoryTallies()


def _media_routes(
    service: Service, engines: Engines, admission: Admission, watching: Watching, config: Config
) -> list[BaseRoute]:
    media = MediaRoutes(service, engines, Credentials(admission, service), watching, config)
    return [*media.routes, *watching.routes, *RtmpCallbacks(service.live.keys).routes]


def _welcome(config: Config, dev: bool) -> Welcome:
    limits = config.limits
    return Welcome(
        session=SessionLimits(
            commands_per_second=limits.commands_per_second,
            commands_burst=limits.commands_burst,
            joins_per_second=limits.joins_per_second,
            joins_burst=limits.joins_burst,
            rate_limited_per_minute=limits.rate_limited_per_minute,
            bad_requests_per_minute=limits.bad_requests_per_minute,
        ),
        shown={
            name: getattr(limits, name)
            for name in (
                "message_bytes",
                "rooms_per_connection",
                "commands_per_second",
                "commands_burst",
                "recover_events",
                "recover_bytes",
                "presence_names",
                "edit_seconds",
            )
        },
        heartbeat_ms=limits.heartbeat_ms,
        hello_seconds=limits.hello_seconds,
        rooms=limits.rooms_per_connection,
        connections_per_user=limits.connections_per_user,
        unsent_bytes=limits.unsent_bytes,
        anonymous=config.auth.anonymous,
        allowed_origins=config.server.allowed_origins,
        local_only=dev,
    )
