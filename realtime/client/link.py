"""One WebSocket connection: its handshake, its codec, and when it was last heard from."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from realtime.client.backoff import Clock
from realtime.client.errors import ProtocolViolation
from realtime.client.events import User

CodecName = Literal["json", "msgpack"]

SOCKET_PATH = "/v1/socket"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_MAX_FRAME = 16 * 1024 * 1024  # bytes; far above any reply under the protocol's limits
_OPEN_SECONDS = 15.0  # for one attempt, from TCP to welcome
_ABNORMAL = 1006


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The server's greeting; `server_time` in milliseconds since the Unix epoch, `heartbeat_ms` between its pings."""

    session: str
    user: User
    server_time: int
    limits: dict[str, Any] = {}
    heartbeat_ms: int | None = None


class LinkClosed(Exception):
    """The connection ended with this WebSocket close `code` (1006 where it just broke)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


def socket_url(url: str) -> str:
    """The WebSocket address of a server named by an http, https, ws or wss address. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise ValueError(f"url: not an http, https, ws or wss address: {url!r}")
    path = parts.path.rstrip("/")
    if not path.endswith(SOCKET_PATH):
        path += SOCKET_PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


class Link:
    """A greeted connection. `leaving` is set once it is to be replaced, because it ended or the server asked to."""

    def __init__(self, ws: ClientConnection, codec: CodecName, clock: Clock) -> None:
        self._ws = ws
        self._clock = clock
        self._binary = codec == "msgpack"
        self._encode: Callable[[Any], bytes] = msgspec.msgpack.encode if self._binary else msgspec.json.encode
        self.opened_at = self.heard_at = clock.time()
        self.leaving = asyncio.Event()
        self.stalled = False
        self.ended: LinkClosed | None = None
        self.error_text = ""
        self.welcome: Welcome

    async def send(self, command: dict[str, Any]) -> None:
        """Write one command, waiting while the socket's buffer is full. Raises LinkClosed."""
        try:
            await self._ws.send(self._encode(command), text=not self._binary)
        except websockets.ConnectionClosed as error:
            raise self._closed() from error

    async def receive(self) -> dict[str, Any]:
        """The next object. Raises LinkClosed, or ProtocolViolation where it is no object with a `type`."""
        try:
            data = await self._ws.recv()
        except websockets.ConnectionClosed as error:
            raise self._closed() from error
        self.heard_at = self._clock.time()
        if isinstance(data, bytes) is not self._binary:
            raise ProtocolViolation(
                f"a {'binary' if isinstance(data, bytes) else 'text'} frame in {self._ws.subprotocol}"
            )
        try:
            value = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise ProtocolViolation(f"an undecodable frame: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ProtocolViolation(f"not an object with a type: {str(value)[:200]}")
        return value

    async def greet(self, hello: bool) -> None:
        """Wait for `welcome`. Raises LinkClosed, ProtocolViolation."""
        if hello:
            await self.send({"type": "hello", "id": 1})
        value = await self.receive()
        while value["type"] == "error":
            self.error_text = str(value.get("message", ""))
            value = await self.receive()
        if value["type"] != "welcome":
            raise ProtocolViolation(f"{value['type']} before welcome")
        try:
            self.welcome = msgspec.convert(value, Welcome)
        except msgspec.ValidationError as error:
            raise ProtocolViolation(f"welcome: {error}") from error

    def abort(self) -> None:
        """Drop the connection without a closing handshake."""
        self._ws.transport.abort()

    async def close(self) -> None:
        await self._ws.close()

    def _closed(self) -> LinkClosed:
        received = self._ws.protocol.close_rcvd
        if received is None:
            return LinkClosed(_ABNORMAL, self.error_text)
        return LinkClosed(received.code, received.reason or self.error_text)


async def open_link(url: str, token: str | None, codec: CodecName, clock: Clock) -> Link:
    """Connect and wait for `welcome`, at most 15 seconds in all.

    Raises LinkClosed, ProtocolViolation, OSError (also TimeoutError), websockets.InvalidHandshake.
    """
    async with asyncio.timeout(_OPEN_SECONDS):
        ws = await connect(
            url,
            subprotocols=[Subprotocol(f"galaxy.v1.{codec}")],
            additional_headers={"Authorization": f"Bearer {token}"} if token is not None else None,
            compression=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=2,
            max_size=_MAX_FRAME,
        )
        link = Link(ws, codec, clock)
        try:
            await link.greet(hello=token is None)
        except BaseException:
            link.abort()
            await ws.wait_closed()
            raise
    return link
