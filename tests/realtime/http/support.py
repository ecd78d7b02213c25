"""The HTTP side on real parts: service, SQLite store, server and sockets, with a clock that tests can turn."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import Route

from moderation import WordList
from realtime.auth import Authenticator, Tickets
from realtime.brokers.memory import MemoryBroker
from realtime.brokers.memory_tallies import MemoryTallies
from realtime.config import Config
from realtime.gateway.admission import Admission
from realtime.gateway.binding import bind
from realtime.gateway.http_edge import HttpEdge, HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import make_server, running
from realtime.gateway.websocket import Counters
from realtime.hosting.bounds import Bounds
from realtime.hosting.service import Service
from realtime.http.app import App, make_app
from realtime.metrics import Metrics, Sources
from realtime.stores.sqlite import SQLiteStore
from rooms.decide import Limits
from tests.realtime.gateway.http_support import Socket, nothing_to_drain
from tests.support.server import config, token

PATIENCE = 20.0
"""Seconds after which a test is stuck; nothing is timed by it."""


class Clock:
    """The time of day, shifted by `ahead` milliseconds."""

    ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


class House:
    """A running server, and a client of it."""

    def __init__(self, service: Service, app: App, edge: HttpEdge, clock: Clock, config: Config, port: int):
        self.service = service
        self.app = app
        self.edge = edge
        self.clock = clock
        self.config = config
        self.port = port
        self.unready: str | None = None
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)

    async def command(self, user: str, command: str, /, **fields: object) -> httpx.Response:
        return await self.client.post("/v1/commands", json={"type": command, **fields}, headers=bearer(user))

    async def did(self, user: str, command: str, /, **fields: object) -> dict[str, Any]:
        response = await self.command(user, command, **fields)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def room(self, owner: str, **fields: object) -> str:
        wanted = {"kind": "group", "title": "T", "visibility": "public"} | fields
        return str((await self.did(owner, "room.create", **wanted))["room"]["id"])


def bearer(user: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user, **claims)}"}


@asynccontextmanager
async def housed(
    data: Path, settings: Mapping[str, str] | None = None, *, dev: bool = False, routes: tuple[Route, ...] = ()
) -> AsyncIterator[House]:
    """A house with these settings; `routes` are added to the application's own."""
    wanted = config(data, settings)
    limits = wanted.limits
    clock, metrics = Clock(), Metrics()
    bounds = Bounds(
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
    )
    store = SQLiteStore(data / "galaxy.db", clock)
    service = Service(
        store, MemoryBroker(), MemoryTallies(), WordList((), ()), clock, Limits(), bounds, lambda: None, metrics
    )
    admission = Admission(Authenticator(wanted.auth), Tickets(b"t" * 32), service, clock)
    houses: list[House] = []
    app = make_app(
        service=service,
        admission=admission,
        config=wanted,
        clock=clock,
        metrics=metrics,
        dev=dev,
        unready=lambda: houses[0].unready,
    )
    app.router.routes.extend(routes)
    requests = http_class(HttpLimits(body_bytes=2 * limits.body_bytes))
    server = make_server(
        app,
        ws_class=type("NoSocket", (Socket,), {"made": []}),
        http_class=requests,
        drain=nothing_to_drain,
    )
    metrics.watch(
        Sources(
            service=service,
            broker=MemoryBroker(),
            edge=requests.edge,
            sockets=Counters(),
            connections={"websocket": (), "sse": app.streams},
            queues={"store": lambda: 0},
            outbox_lag_ms=lambda: 1_500,
        )
    )
    await service.start()
    async with running(server, bind("127.0.0.1", 0)):
        house = House(service, app, requests.edge, clock, wanted, server.port)
        houses.append(house)
        try:
            async with house.client:
                yield house
        finally:
            app.end_streams()
    await service.close()


class Received:
    """One server-sent event as a client gets it."""

    def __init__(self, block: str):
        self.fields = dict(line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":"))
        self.comment = block.startswith(":")
        self.id = self.fields.get("id")
        self.name = self.fields.get("event", "")

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.fields["data"]))


class Reader:
    """Reads an event stream."""

    def __init__(self, response: httpx.Response):
        self.response = response
        self._chunks = response.aiter_text()
        self._text = ""

    async def next(self) -> Received:
        """The next event or comment. Raises StopAsyncIteration at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while "\n\n" not in self._text:
                self._text += await anext(self._chunks)
        block, _, self._text = self._text.partition("\n\n")
        return Received(block)

    async def named(self, name: str) -> Received:
        """The next event of this name; others are passed over."""
        while (received := await self.next()).name != name:
            pass
        return received

    async def rest(self) -> list[Received]:
        """All up to the end of the stream, which must come."""
        received = []
        while True:
            try:
                received.append(await self.next())
            except StopAsyncIteration:
                assert not self._text, "the stream ended within an event"
                return received


@asynccontextmanager
async def streaming(
    house: House, room: str, user: str | None = None, headers: Mapping[str, str] | None = None, **query: object
) -> AsyncIterator[Reader]:
    """An open event stream of a room."""
    sent = {"Accept": "text/event-stream"} | (bearer(user) if user else {}) | dict(headers or {})
    params = {name: str(value) for name, value in query.items()}
    async with house.client.stream("GET", f"/v1/rooms/{room}/events", headers=sent, params=params) as response:
        assert response.status_code == 200, await response.aread()
        yield Reader(response)
