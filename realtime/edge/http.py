"""HTTP on the edge port: playlists, segments, parts, posters. What is on disk is in `realtime.edge.replay`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from realtime.edge.access import Access
from realtime.edge.live import Live, Lives
from realtime.edge.readers import Reader, Readers
from realtime.edge.replay import Asked, InPieces, Replay, TooBusy, replayed
from realtime.gateway.http_edge import CONNECTION
from relay.hls.multivariant import Variant, multivariant_playlist
from relay.hls.names import Name
from relay.hls.reload import BLOCK_SECONDS, BadDirective, judge, read_directives
from relay.parts_values import LONGEST_SEGMENT
from relay.ports import Bearer, Refused
from relay.units import HZ

HINT_SECONDS = 2 * LONGEST_SEGMENT / HZ
"""How long a part that a playlist has hinted at is waited for."""
PLAYLISTS = ("live.m3u8", "audio.m3u8", "dvr.m3u8")
CORS = {"Access-Control-Allow-Origin": "*", "Timing-Allow-Origin": "*"}
_OPTIONS = CORS | {"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "*",
                   "Access-Control-Expose-Headers": "*", "Access-Control-Max-Age": "86400"}  # fmt: skip
SEGMENT_CACHE = "public, max-age=60"
_STATUS = {"unauthorized": 401, "forbidden": 403, "not_found": 404, "unavailable": 503}
_M3U8 = "application/vnd.apple.mpegurl"

Handler = Callable[[Request], Awaitable[Response]]


def make_app(edge: "EdgeHttp") -> Starlette:
    room = "/v1/rooms/{room}"
    routes = (
        (f"{room}/hls/index.m3u8", edge.index),
        (f"{room}/live/poster.webp", edge.poster),
        (f"{room}/stream", edge.stream),
    )
    sent = ((f"{room}/hls/{{session}}/{{name}}", edge.file), (f"{room}/recordings/{{id}}/{{name}}", edge.recording))
    ends: list[tuple[str, Callable[..., object]]] = [(path, _open(handler)) for path, handler in routes]
    ends += [(path, _Sent(handler)) for path, handler in sent]
    return Starlette(routes=[Route(path, end, methods=["GET", "OPTIONS"]) for path, end in ends])


class _Sent:
    """An ASGI application of a handler. What it enters it is in until the last byte of the response is sent."""

    def __init__(self, handler: Callable[[Request, ExitStack], Awaitable[Response]]):
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as sending:
            answer = _open(lambda request: self._handler(request, sending))
            response = await answer(Request(scope, receive))
            if scope["method"] == "HEAD":  # else a film would be read to its end
                response = Response(None, response.status_code, dict(response.headers))
            await response(scope, receive, send)


def _abort_of(request: Request) -> Callable[[], None]:
    abort: Callable[[], None] = request.scope["extensions"][CONNECTION]["abort"]
    return abort


def _open(handler: Handler) -> Handler:
    """To pages of every origin, without credentials; refusals become responses."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(None, 204, _OPTIONS)
        try:
            response = await handler(request)
        except Refused as refused:
            response = _plain(_STATUS.get(refused.code, 403), refused.message)
        except BadDirective as error:
            response = _plain(400, str(error))
        except TooBusy:
            response = _plain(503, "The disk is busy.")
        response.headers.update(CORS)
        return response

    return answer


def _plain(status: int, message: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = "1"
    return Response(f"{message}\n", status, headers, "text/plain; charset=utf-8")


def _taken_down() -> Response:
    return _plain(410, "This stream was taken down.")


class EdgeHttp:
    def __init__(self, lives: Lives, access: Access, replay: Replay, readers: Readers):
        self._lives, self._access, self._replay, self._readers = lives, access, replay, readers
        self.waiting = 0
        """Requests that wait for something to be told of a stream."""

    async def index(self, request: Request) -> Response:
        live, bearer = await self._watched(request)
        until = asyncio.get_running_loop().time() + BLOCK_SECONDS
        # Without a whole segment rates are not known, and some players give up.
        while live.over is None and live.window.find(live.window.last_whole) is None:
            if not await self._changed(live, until):
                raise Refused("unavailable", "The stream has not begun.")
        if live.hidden:
            return _taken_down()
        await self._still_may(live, bearer)
        if not live.inits:
            raise Refused("not_found", "The stream has not begun.")
        token, session = request.query_params["pass"], live.began.session
        most, average = live.bandwidth
        init = live.inits[max(live.inits)]
        name = "dvr.m3u8" if request.query_params.get("dvr") == "1" else "live.m3u8"
        variants = []
        if init.width or not init.audio:
            rate = live.frame_rate
            variants.append(
                Variant(f"{session}/{name}?pass={token}", most, average, init.codecs, init.width, init.height, rate)
            )
        if init.audio:
            only = "audio.m3u8" if init.width else name
            variants.append(Variant(f"{session}/{only}?pass={token}", 160_000, 0, "mp4a.40.2"))
        return Response(multivariant_playlist(variants), 200, {"Cache-Control": "no-store"}, _M3U8)

    async def file(self, request: Request, sending: ExitStack) -> Response:
        name = request.path_params["name"]
        if name in PLAYLISTS:
            return await self._playlist(request, name)
        live = self._lives.rooms.get(request.path_params["room"])
        if live is None or live.began.session != request.path_params["session"]:
            return _plain(404, "No such stream.")
        found = live.names.read(name)
        if found is None:
            return _plain(404, "No such segment.")
        data = await self._bytes(live, found)
        if live.hidden:  # perhaps only now
            return _taken_down()
        if data is None:
            return _plain(404, "Not there any more.")
        sending.enter_context(live.sending(_abort_of(request)))
        return InPieces(data, 200, {"Cache-Control": SEGMENT_CACHE}, "video/mp4" if not found.audio else "audio/mp4")

    async def poster(self, request: Request) -> Response:
        live, _ = await self._watched(request)
        if not live.poster:
            return _plain(404, "No picture yet.")
        return Response(live.poster, 200, {"Cache-Control": "private, max-age=10"}, "image/webp")

    async def stream(self, request: Request) -> Response:
        return Response("This is a WebSocket.\n", 426, {"Upgrade": "websocket"}, "text/plain")

    async def recording(self, request: Request, sending: ExitStack) -> Response:
        """Raises Refused, TooBusy."""
        path, query = request.path_params, request.query_params
        room, recording, token = path["room"], path["id"], query.get("pass", "")
        bearer = self._access.bearer(token, room)
        sending.enter_context(self._readers.reading(Reader(room, recording, bearer, _abort_of(request))))
        await self._access.may_replay(room, recording, bearer)
        asked = Asked(room, recording, path["name"], token, query.get("part", "1"), request.headers.get("range"))
        return await replayed(self._replay, asked)

    async def _watched(self, request: Request) -> tuple[Live, Bearer]:
        """The room's stream, and who may watch it. Raises Refused."""
        room = request.path_params["room"]
        bearer = await self._access.viewer(request.query_params.get("pass", ""), room)
        live = self._lives.rooms.get(room)
        if live is not None and live.began.test and live.began.user != bearer.user:
            live = None
        if live is None:
            raise Refused("not_found", "Nothing is live here.")
        if live.over is None:
            live.hls_viewers[bearer.user] = asyncio.get_running_loop().time()
        return live, bearer

    async def _playlist(self, request: Request, name: str) -> Response:
        ask = read_directives(request.query_params)
        live, bearer = await self._watched(request)
        if live.began.session != request.path_params["session"]:
            raise Refused("not_found", "This stream is over.")
        until = asyncio.get_running_loop().time() + BLOCK_SECONDS
        while judge(ask, live.window) == "wait":
            if not await self._changed(live, until):
                return _plain(503, "Nothing new has come.")
        if live.hidden:
            return _taken_down()
        await self._still_may(live, bearer)
        age = 6 * LONGEST_SEGMENT // HZ if ask.msn is not None else 1
        return Response(live.playlist(name, skip=ask.skip), 200, {"Cache-Control": f"private, max-age={age}"}, _M3U8)

    async def _bytes(self, live: Live, name: Name) -> bytes | None:
        if name.kind == "i":
            init = live.inits.get(name.number)
            return None if init is None else (init.audio if name.audio else init.data)
        if name.kind == "p":
            return await self._part(live, name)
        data = live.segment(name.number, audio=name.audio)
        if data is None and live.readable(name.number):
            data = await self._replay.segment(live.began.folder, live.stored[name.number], audio=name.audio)
        return data

    async def _part(self, live: Live, name: Name) -> bytes | None:
        """One that is to come next is waited for: a preload hint has named it (6.2.6)."""
        until = asyncio.get_running_loop().time() + HINT_SECONDS
        while (data := live.part(name.number, name.index, audio=name.audio)) is None:
            hinted = live.window.position == (name.number, name.index)
            if not hinted or live.over is not None or not await self._changed(live, until):
                return None
        return data

    async def _still_may(self, live: Live, bearer: Bearer) -> None:
        """After a wait. Raises Refused."""
        if not await self._access.rights.may_watch(live.began.room, bearer):
            raise Refused("forbidden", "You may not watch this room any more.")

    async def _changed(self, live: Live, until: float) -> bool:
        """`Live.changed`, counted."""
        self.waiting += 1
        try:
            return await live.changed(until)
        finally:
            self.waiting -= 1
