"""`GET /v1/rooms/{room}/stream`: a WebSocket that is let in here, and served by an edge process that is given the
socket. Where it cannot be passed (TLS ends here, or the stream is on another machine) the client is sent there: 307.
"""

import asyncio
import re
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from starlette.requests import Request
from starlette.responses import Response

from realtime import ports
from realtime.edge.passing import Passed
from realtime.gateway.error_log import describe
from realtime.gateway.http_edge import Peer
from realtime.gateway.origins import origin_allowed
from realtime.hosting.service import unavailable
from realtime.http.answers import refusal
from realtime.http.watching import Watching
from realtime.live.engines import Engines
from rooms.errors import Rejected

log = structlog.get_logger("realtime.http")

PATH = re.compile(r"/v1/rooms/([^/]{1,256})/stream")
SECONDS = 10.0
"""For who comes to be let in, and passed on."""
MOST = 1_024
"""Who wait for that. Others are told to come again."""


class StreamDoor:
    """Is the `realtime.gateway.http_edge.Passes`."""

    def __init__(self, watching: Watching, engines: Engines, allowed_origins: tuple[str, ...]):
        self.watching, self.engines, self.allowed_origins = watching, engines, allowed_origins
        self.waiting: set[_Handover] = set()

    def passes(self, scope: MutableMapping[str, Any], peer: Peer) -> asyncio.Protocol | None:
        """What takes this upgrade; None where it is not for an edge process."""
        found = PATH.fullmatch(scope["path"])
        return None if found is None else _Handover(self, scope, found[1], peer)

    def edge_for(self, room: str) -> int:
        return hash(room) % len(self.engines.passers)


class _Handover(asyncio.Protocol):
    """One client on its way. `connection_made`, then `data_received` with the request's head, and what came behind."""

    def __init__(self, door: StreamDoor, scope: MutableMapping[str, Any], room: str, peer: Peer):
        self._door, self._room, self._peer = door, room, peer
        self._request = Request(scope)
        self._read = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()
        self._door.waiting.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._read += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.waiting.discard(self)
        self._peer.release()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                response = await self._pass_on()
        except Rejected as rejected:
            response = refusal(rejected)
        except ports.Unavailable as error:
            response = refusal(unavailable(error))
        except TimeoutError:
            response = refusal(Rejected("unavailable", "It took too long.", retry_after_ms=1_000))
        except Exception as error:
            log.error("request_failed", method="GET", path="stream", **describe(error))  # noqa: TRY400 - tracebacks may quote tokens
            response = refusal(Rejected("internal", "Something went wrong here."))
        if response is not None:
            self._transport.write(_written(response))
        self._transport.close()

    async def _pass_on(self) -> Response | None:
        """None: an edge process has the socket. Raises Rejected, Unavailable."""
        door, request = self._door, self._request
        if len(door.waiting) > MOST:
            raise Rejected("unavailable", "Too many come at once.", retry_after_ms=1_000)
        origin = request.headers.get("origin")
        if origin is not None and not origin_allowed(origin, request.headers.get("host", ""), door.allowed_origins):
            raise Rejected("forbidden", "This origin is not allowed.")
        viewer, elsewhere = await door.watching.viewer_and_node(request, self._room)
        if elsewhere is not None or self._transport.get_extra_info("sslcontext") is not None:
            # Browsers do not follow it: pages ask for the same path by HTTP, and are told as well.
            target = door.watching.edge_address(request, self._room, viewer, elsewhere).replace("http", "ws", 1)
            return Response(None, 307, {"Location": target, "Cache-Control": "no-store"})
        passed = Passed(self._read, self._room, viewer.user, self._peer.address, viewer.granted, viewer.until_ms)
        try:
            door.engines.passers[door.edge_for(self._room)].hand_over(self._transport.get_extra_info("socket"), passed)
        except OSError as error:
            log.warning("not_passed", reason=str(error))
            raise Rejected("unavailable", "No edge process takes viewers.", retry_after_ms=1_000) from error
        return None


def _written(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)])
