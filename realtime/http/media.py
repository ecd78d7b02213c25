"""WebRTC's signalling over HTTP: WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep)."""

import base64
import hmac
import re
import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from realtime import ports
from realtime.config import Config
from realtime.gateway.admission import actor_of, bearer
from realtime.hosting.service import Service
from realtime.http.answers import STATUS, refusal
from realtime.http.bodies import media_type, read_body
from realtime.http.credentials import Credentials
from realtime.http.watching import Watching
from realtime.live.engines import Engines, MediaLink
from relay.engine import Answer, Kind
from relay.ports import Refused
from rooms.errors import CODES, Code, Rejected

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
MOST_SDP = 65_536
"""Bytes of an offer or a fragment."""
TURN_SECONDS = 86_400
"""How long a client may use coturn with what it was given."""
_STATUS: Final = {"unsupported": 422, "precondition": 412}
_RESOURCE = re.compile(r"([0-9]{1,3})-([A-Za-z0-9_-]{1,128})")
_JWT_PARTS = 3

Handler = Callable[[Request], Awaitable[Response]]


class MediaRoutes:
    """Media processes are asked; where none answers it is 503."""

    def __init__(
        self,
        service: Service,
        engines: Engines,
        credentials: Credentials,
        watching: Watching,
        config: Config,
    ):
        self._service, self._engines, self._credentials = service, engines, credentials
        self._watching, self._config = watching, config

    @property
    def routes(self) -> list[BaseRoute]:
        room = "/v1/rooms/{room}"
        routes: list[BaseRoute] = []
        for kind, offered in (("whip", self.whip), ("whep", self.whep)):
            routes += [
                Route(f"{room}/{kind}", _told(offered), methods=["POST"]),
                Route(f"{room}/{kind}", self.options, methods=["OPTIONS"]),
                Route(f"{room}/{kind}/{{resource}}", _told(self.trickle), methods=["PATCH"]),
                Route(f"{room}/{kind}/{{resource}}", _told(self.hang_up), methods=["DELETE"]),
            ]
        return routes

    async def whip(self, request: Request) -> Response:
        """By stream key, or a token whose user may publish there. Raises Rejected, Refused, Unavailable."""
        room, offer = request.path_params["room"], await _sdp(request, SDP)
        shown = bearer(request.headers.get("authorization"))
        if shown is None:
            raise Rejected("unauthorized", "This needs a stream key or a token: Authorization: Bearer.", field="token")
        user, key = "", shown
        if shown.count(".") == _JWT_PARTS - 1:
            identity = await self._credentials.of_header(request)
            await self._service.live.may_publish(actor_of(identity), room)
            user, key = identity.user, ""
        media = self._engines.for_publisher(room)
        answer = await media.engine.whip(room, user, key, _address(request), offer)
        return self._created("whip", room, user or "encoder", media, answer)

    async def whep(self, request: Request) -> Response:
        """The right is asked for again once the session is there: who lost it while the media process was slow may come
        there later than `relay.rights.DENIED_SECONDS`. Raises Rejected, Refused, Unavailable.
        """
        room, offer = request.path_params["room"], await _sdp(request, SDP)
        viewer = await self._watching.viewer(request, room)
        stream = await self._service.store.stream(room)
        if stream.on and (elsewhere := self._watching.elsewhere(stream.node)) is not None:
            raise Refused("unavailable", f"This stream is on another server: {elsewhere}")
        media = self._engines.named(stream.process) if stream.on else None
        if media is None:
            raise Rejected("not_found", "Nothing is streamed in this room.")
        answer = await media.engine.whep(room, viewer, _address(request), offer)
        try:
            await self._watching.viewer(request, room)
        except (Rejected, ports.Unavailable):
            await media.engine.hang_up(answer.resource)
            raise
        return self._created("whep", room, viewer.user, media, answer)

    def _created(self, kind: Kind, room: str, user: str, media: MediaLink, answer: Answer) -> Response:
        """RFC 9725 section 4.2; the ETag is that of section 4.3.1."""
        headers = {
            "Location": f"/v1/rooms/{quote(room)}/{kind}/{media.number}-{answer.resource}",
            "ETag": f'"{answer.etag}"',
            "Accept-Patch": FRAGMENT,
            "Cache-Control": "no-store",
        }
        if self._config.relay.turn_url:
            headers["Link"] = turn_link(
                self._config.relay.turn_url, self._config.relay.turn_secret, user, int(time.time()) + TURN_SECONDS
            )
        return Response(answer.sdp, 201, headers, SDP)

    async def options(self, request: Request) -> Response:
        """RFC 9725 section 4.2: what can be sent here. Preflights are answered before."""
        return Response(None, 204, {"Accept-Post": SDP, "Allow": "OPTIONS, POST"})

    async def trickle(self, request: Request) -> Response:
        """RFC 9725 section 4.3. Raises Refused."""
        fragment = await _sdp(request, FRAGMENT)
        etag = request.headers.get("if-match", "")
        if not etag:
            raise HTTPException(428, "If-Match names the ICE session.")
        media, resource = self._session(request)
        answer = await media.engine.trickle(resource, etag if etag == "*" else etag.strip('"'), fragment)
        return Response(answer, 200, {"ETag": etag}, FRAGMENT) if answer else Response(None, 204)

    async def hang_up(self, request: Request) -> Response:
        """Raises Refused."""
        media, resource = self._session(request)
        await media.engine.hang_up(resource)
        return Response(None, 200)

    def _session(self, request: Request) -> tuple[MediaLink, str]:
        """Whoever knows a session's address may end it: it cannot be guessed. Raises Refused(`not_found`)."""
        found = _RESOURCE.fullmatch(request.path_params["resource"])
        if found is None:
            raise Refused("not_found", "This session is over.")
        return self._engines.numbered(int(found[1])), found[2]


def _told(handler: Handler) -> Handler:
    """What media processes refuse as a response, in the protocol's form."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return refused_response(refused)

    return answer


def refused_response(refused: Refused) -> Response:
    code: Code = next((code for code in CODES if code == refused.code), "bad_request")
    rejected = Rejected(code, refused.message, retry_after_ms=refused.retry_after_ms)
    return refusal(rejected, status=_STATUS.get(refused.code) or STATUS[code])


async def _sdp(request: Request, wanted: str) -> str:
    """Raises HTTPException: 415, 413, 400."""
    if media_type(request) != wanted:
        raise HTTPException(415, f"Send {wanted}.", {"Accept-Post" if wanted == SDP else "Accept-Patch": wanted})
    try:
        return (await read_body(request, MOST_SDP)).decode()
    except UnicodeDecodeError:
        raise HTTPException(400, "The body is not UTF-8.") from None


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def turn_link(url: str, secret: str, user: str, until: int) -> str:
    """A `Link` header (RFC 9725 section 4.6) with time-limited credentials as coturn's `use-auth-secret` has them
    (draft-uberti-behave-turn-rest). `until` in seconds since the Unix epoch.
    """
    username = f"{until}:{re.sub('[^A-Za-z0-9_.~-]', '_', user)}"
    credential = base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()
    return f'<{url}>; rel="ice-server"; username="{username}"; credential="{credential}"; credential-type="password"'
