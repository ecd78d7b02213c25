"""A WebSocket client that adds nothing of its own: commands as given, objects in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

WAIT = 15  # seconds after which a test has failed
JSON, MSGPACK = "galaxy.v1.json", "galaxy.v1.msgpack"


class Peer:
    """What was received and not yet asked for is in `inbox`, in order."""

    def __init__(self, ws: ClientConnection):
        self.ws = ws
        self.inbox: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}
        self._binary = ws.subprotocol == MSGPACK
        self._ids = 0

    async def send(self, type: str, /, **fields: Any) -> int:
        """Sends a command and returns its id; fields that are None are left out."""
        self._ids += 1
        command = {"type": type, "id": self._ids} | {k: v for k, v in fields.items() if v is not None}
        await self.write(command)
        return self._ids

    async def write(self, value: Any) -> None:
        """Sends bytes or text as they are, anything else encoded."""
        if isinstance(value, bytes | str):
            await self.ws.send(value)
        elif self._binary:
            await self.ws.send(msgspec.msgpack.encode(value))
        else:
            await self.ws.send(msgspec.json.encode(value), text=True)

    async def receive(self) -> dict[str, Any]:
        """The next object on the wire."""
        data = await self.ws.recv()
        assert isinstance(data, bytes) == self._binary
        value = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        assert isinstance(value, dict)
        return value

    async def take(self, **like: Any) -> dict[str, Any]:
        """The first object, of those not taken yet, whose fields are these."""
        async with asyncio.timeout(WAIT):
            seen = 0
            while True:
                for position, value in enumerate(self.inbox[seen:], seen):
                    if all(value.get(name) == wanted for name, wanted in like.items()):
                        return self.inbox.pop(position)
                seen = len(self.inbox)
                self.inbox.append(await self.receive())

    async def reply(self, command_id: int) -> dict[str, Any]:
        async with asyncio.timeout(WAIT):
            while True:
                for position, value in enumerate(self.inbox):
                    if value["type"] in ("ok", "error", "welcome") and value.get("id") == command_id:
                        return self.inbox.pop(position)
                self.inbox.append(await self.receive())

    async def ok(self, type: str, /, **fields: Any) -> dict[str, Any]:
        reply = await self.reply(await self.send(type, **fields))
        assert reply["type"] == "ok", reply
        return reply

    async def error(self, type: str, /, **fields: Any) -> dict[str, Any]:
        reply = await self.reply(await self.send(type, **fields))
        assert reply["type"] == "error", reply
        return reply

    async def event(self, type: str, /, **like: Any) -> dict[str, Any]:
        return await self.take(type=type, **like)

    async def settled(self) -> list[dict[str, Any]]:
        """All that was received and not taken, once the server has answered everything sent until now."""
        await self.ok("ping")
        heard, self.inbox = self.inbox, []
        return heard

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the server's close frame; what comes before it is in `inbox`."""
        async with asyncio.timeout(WAIT):
            try:
                while True:
                    self.inbox.append(await self.receive())
            except ConnectionClosed as closed:
                return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def connected(
    url: str, token: str | None = None, *, codec: str | None = JSON, query: str = "", **options: Any
) -> AsyncIterator[Peer]:
    """A connection, not yet greeted; `token` goes into the header."""
    async with connect(
        url.replace("http", "ws", 1) + "/v1/socket" + query,
        subprotocols=[Subprotocol(codec)] if codec else None,
        additional_headers={"Authorization": f"Bearer {token}"} if token is not None else None,
        compression=None,
        ping_interval=None,
        close_timeout=1,
        max_size=2**26,
        **options,
    ) as ws:
        yield Peer(ws)


@asynccontextmanager
async def greeted(url: str, token: str, **options: Any) -> AsyncIterator[Peer]:
    """A connection that has been welcomed."""
    async with connected(url, token, **options) as peer:
        peer.welcome = await peer.take(type="welcome")
        yield peer
