"""The other side: a WebSocket server that a test plays by hand, and a clock that it turns by hand."""

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

WELCOME = {
    "type": "welcome",
    "session": "s1",
    "user": {"id": "ann", "name": "Ann", "roles": []},
    "server_time": 1,
    "limits": {"commands_per_second": 20},
    "heartbeat_ms": 25000,
}


class Peer:
    """One accepted connection."""

    def __init__(self, ws: ServerConnection) -> None:
        self.ws = ws
        self.binary = ws.subprotocol == "galaxy.v1.msgpack"

    @property
    def authorization(self) -> str | None:
        assert self.ws.request is not None
        return self.ws.request.headers.get("Authorization")

    @property
    def path(self) -> str:
        assert self.ws.request is not None
        return self.ws.request.path

    async def send(self, **fields: Any) -> None:
        encode = msgspec.msgpack.encode if self.binary else msgspec.json.encode
        await self.ws.send(encode(fields), text=not self.binary)

    async def receive(self) -> dict[str, Any]:
        data = await self.ws.recv()
        assert isinstance(data, bytes) is self.binary
        value: dict[str, Any] = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        return value

    async def expect(self, kind: str) -> dict[str, Any]:
        command = await self.receive()
        assert command["type"] == kind, command
        return command

    async def ok(self, command: dict[str, Any], **fields: Any) -> None:
        await self.send(type="ok", id=command["id"], **fields)

    async def error(self, command: dict[str, Any], code: str, **fields: Any) -> None:
        await self.send(type="error", id=command["id"], code=code, message=f"about {code}", **fields)

    async def joined(self, command: dict[str, Any], pos: int, *events: dict[str, Any], **fields: Any) -> None:
        """Answer `room.join`; it recovered where `since` was given, unless told otherwise."""
        reply = {
            "room": {"id": command["room"], "kind": "group", "title": "T", "settings": {}},
            "you": {"role": "member", "read_pos": 0},
            "epoch": "e1",
            "pos": pos,
            "first_pos": 1,
            "recovered": "since" in command,
            "events": events,
        }
        await self.ok(command, **{**reply, **fields})

    async def join(self, pos: int, *events: dict[str, Any], **fields: Any) -> dict[str, Any]:
        command = await self.expect("room.join")
        await self.joined(command, pos, *events, **fields)
        return command

    async def close(self, code: int, reason: str = "") -> None:
        await self.ws.close(code, reason)

    def abort(self) -> None:
        self.ws.transport.abort()


class ScriptedServer:
    """`await accept()` gives each next connection. Those it `greets` got `welcome` before."""

    def __init__(self, *, greets: bool = True) -> None:
        self.greets = greets
        self.status: HTTPStatus | None = None
        self.refused = asyncio.Event()
        self.accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def accept(self) -> Peer:
        return await self.accepted.get()

    async def _handle(self, ws: ServerConnection) -> None:
        peer = Peer(ws)
        if self.greets:
            await peer.send(**WELCOME)
        self.accepted.put_nowait(peer)
        await ws.wait_closed()

    def _request(self, connection: ServerConnection, _: Request) -> Response | None:
        if self.status is None:
            return None
        self.refused.set()
        return connection.respond(self.status, "no\n")

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("galaxy.v1.json"), Subprotocol("galaxy.v1.msgpack")],
            process_request=self._request,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()


class HandClock:
    """Time passes only by `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []
        self._changed = asyncio.Condition()

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.now + seconds, seconds, future)
        self._sleepers.append(entry)
        async with self._changed:
            self.sleeps.append(seconds)
            self._changed.notify_all()
        try:
            await future
        finally:
            self._sleepers.remove(entry)

    async def until_asleep(self, seconds: float) -> None:
        """Wait until somebody sleeps for exactly that long."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(asked == seconds for _, asked, _ in self._sleepers))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for deadline, _, future in self._sleepers:
            if deadline <= self.now and not future.done():
                future.set_result(None)

    async def pass_sleep(self, seconds: float) -> None:
        await self.until_asleep(seconds)
        self.advance(seconds)


def message(pos: int, text: str = "hi", **fields: Any) -> dict[str, Any]:
    """A `message.created` of room r1."""
    body = {"text": text, "n": pos, "mentions": []}
    return event("message.created", pos=pos, **{"message": body, **fields})


def event(kind: str, **fields: Any) -> dict[str, Any]:
    by = {"id": "bob", "name": "Bob", "role": "member"}
    return {"type": kind, "room": "r1", "at": 1795367182123, "by": by, **fields}
