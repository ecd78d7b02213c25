"""A server on a free port, and clients that write bytes as they like."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.gateway.addresses import parse_networks
from realtime.gateway.binding import bind
from realtime.gateway.http_edge import HttpEdge, HttpLimits, Peer
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import GalaxyServer, make_server, running

PATIENCE = 20.0  # seconds after which a test is stuck; nothing is timed by it
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /v1/socket?token=s3cret HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def nothing_to_drain() -> None:
    pass


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or None if the client left."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def respond(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class App:
    """Answers `METHOD path length-of-body`; keeps the scopes it saw. Paths of `special` have an application each."""

    def __init__(self, **special: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.scopes: list[Scope] = []
        self.special = special

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if special := self.special.get(scope["path"].lstrip("/")):
            await special(scope, receive, send)
            return
        body = await read_body(receive)
        if body is not None:
            await respond(send, f"{scope['method']} {scope['path']} {len(body)}".encode())


class Socket(asyncio.Protocol):
    """Stands where the WebSocket protocol stands: says 101 after the head, then echoes bytes."""

    made: ClassVar[list["Socket"]]

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self.peer: Peer = app_state["peer"]
        self.connections: set[Any] = server_state.connections
        self.head = b""
        self.closed_by_server = False
        self.made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.head:
            self.transport.write(data)
            return
        self.head = data
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.peer.release()

    def shutdown(self) -> None:
        self.closed_by_server = True
        self.transport.close()


class Served:
    def __init__(self, server: GalaxyServer, edge: HttpEdge, app: App, sockets: list[Socket]) -> None:
        self.server = server
        self.edge = edge
        self.app = app
        self.sockets = sockets

    @property
    def connections(self) -> set[Any]:
        return self.server.server_state.connections


@asynccontextmanager
async def serving(
    app: App | None = None,
    limits: HttpLimits | None = None,
    *,
    trusted: tuple[str, ...] = (),
    ws_class: type[Socket] = Socket,
    keep_alive_seconds: int = 60,
) -> AsyncIterator[Served]:
    http = http_class(limits or HttpLimits(), parse_networks(trusted))
    made: list[Socket] = []
    app = app or App()
    server = make_server(
        app,
        ws_class=type("TestSocket", (ws_class,), {"made": made}),
        http_class=http,
        drain=nothing_to_drain,
        keep_alive_seconds=keep_alive_seconds,
    )
    async with running(server, bind("127.0.0.1", 0)):
        yield Served(server, http.edge, app, made)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, headers, body (by Content-Length)."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", 0))), PATIENCE)
        return int(status.split()[1]), headers, body

    async def exactly(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await asyncio.wait_for(self.reader.read(-1), PATIENCE)


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def talk(served: Served, *pieces: bytes) -> bytes:
    """All that the server says to these bytes until it closes."""
    async with connected(served) as client:
        for piece in pieces:
            await client.send(piece)
        return await client.rest()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to offer
            await asyncio.sleep(0.005)
