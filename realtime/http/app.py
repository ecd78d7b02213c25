"""The HTTP side as one application: its routes, and what holds for all of them."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from realtime import ports
from realtime.config import Config
from realtime.gateway.admission import Admission
from realtime.hosting.service import Service, unavailable
from realtime.http.answers import refusal
from realtime.http.commands import Commands
from realtime.http.credentials import Credentials
from realtime.http.dev import DevTokens
from realtime.http.events import Events
from realtime.http.health import Health
from realtime.http.middleware import STUDIO, Failures, Guard, SecureHeaders, edge_source
from realtime.http.openapi import Docs
from realtime.http.pace import Pace
from realtime.http.pages import Pages
from realtime.http.streams import Streams, Terms
from realtime.metrics import Metrics
from rooms.errors import Code, Rejected

_CODES: dict[int, Code] = {401: "unauthorized", 403: "forbidden", 404: "not_found"}
"""Of what is refused before it reaches a handler; the others are `bad_request`."""


class App(Starlette):
    """The application, with its open event streams, and what it says of its health."""

    def __init__(self, routes: list[BaseRoute], middleware: list[Middleware], streams: Streams, health: Health):
        super().__init__(
            routes=routes,
            middleware=middleware,
            exception_handlers={Rejected: _refused, ports.Unavailable: _unavailable, HTTPException: _failed},
        )
        self.router.redirect_slashes = False
        self.streams = streams
        self.health = health

    def end_streams(self) -> None:
        """Tells the clients of event streams to come back, and ends them."""
        self.streams.end_all()


def make_app(
    *,
    service: Service,
    admission: Admission,
    media: Sequence[BaseRoute] = (),
    config: Config,
    clock: ports.Clock,
    metrics: Metrics,
    dev: bool,
    unready: Callable[[], str | None] = lambda: None,
    degraded: Callable[[], Sequence[str]] = list,
) -> App:
    """`media`: the routes of media, where there is any. `unready` says why no new clients should come (`/readyz`), or
    None, `degraded` what is amiss; `dev`: `--dev`.
    """
    limits, server = config.limits, config.server
    credentials = Credentials(admission, service)
    pace = Pace(limits.commands_per_second, limits.commands_burst, service.tallies, "requests")
    joins = Pace(limits.joins_per_second, limits.joins_burst, service.tallies, "streams")
    streams = Streams()
    terms = Terms(limits.heartbeat_ms, server.reconnect_within_ms, limits.connections_per_user)
    commands = Commands(service, admission, credentials, pace, clock, metrics, limits.body_bytes)
    events = Events(
        service, credentials, streams, terms, pace, joins, clock, metrics, anonymous=config.auth.anonymous
    )  # fmt: skip
    health, docs, pages = Health(unready, degraded, metrics.registry), Docs(dev=dev), Pages()
    routes: list[BaseRoute] = [
        Route("/v1/commands", commands.post, methods=["POST"]),
        Route("/v1/rooms/{room}/events", events.get),
        *media,
        *health.routes,
        Route("/openapi.json", docs.json),
        Route("/docs", docs.page),
        Route("/", pages.index),
        Route("/room/{room}", pages.room),
        Route(f"{STUDIO}{{room}}", pages.studio),
        Route("/overlay/{room}", pages.overlay),
        Mount("/web", pages.files),
    ]
    if dev:
        routes.append(Route("/v1/dev/token", DevTokens(config.auth, clock, limits.body_bytes).post, methods=["POST"]))
    middleware = [
        Middleware(SecureHeaders, edge_source(config.relay, several=config.broker.on_redis)),
        Middleware(Failures),
        Middleware(Guard, server.allowed_origins, dev),
        Middleware(
            CORSMiddleware,
            allow_origins=server.allowed_origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "If-Match", "Last-Event-ID"),
            expose_headers=("Retry-After", "Location", "ETag", "Link", "Accept-Patch"),
        ),
    ]
    return App(routes, middleware, streams, health)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)  # noqa: S101 - registered for it
    return refusal(error)


def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, ports.Unavailable)  # noqa: S101 - registered for it
    return refusal(unavailable(error))


def _failed(_: Request, error: Exception) -> Response:
    """404, 405, 413, 415: as the protocol says errors."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    rejected = Rejected(_CODES.get(error.status_code, "bad_request"), error.detail)
    return refusal(rejected, status=error.status_code, headers=error.headers)
