"""What nginx-rtmp in front of us asks before it takes an encoder: its `on_publish` callback."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from realtime.http.bodies import media_type, read_body
from realtime.live.keys import Keys
from rooms.errors import Rejected

FORM = "application/x-www-form-urlencoded"
MOST_FORM = 8_192
"""Bytes: nginx-rtmp passes on what the encoder says of itself."""


class RtmpCallbacks:
    """Says no more than whether a stream key is one; whether its user may go live is said when the stream comes."""

    def __init__(self, keys: Keys):
        self._keys = keys

    @property
    def routes(self) -> list[BaseRoute]:
        return [Route("/v1/rtmp/on_publish", self.on_publish, methods=["POST"])]

    async def on_publish(self, request: Request) -> Response:
        """`name` is the key: 204, or nginx-rtmp ends the encoder's connection. Raises Rejected(`bad_request`,
        `unauthorized`), HTTPException(413), Unavailable.
        """
        if media_type(request) != FORM:
            raise Rejected("bad_request", f"Send {FORM}, as nginx-rtmp does.", field="Content-Type")
        names = parse_qs((await read_body(request, MOST_FORM)).decode("latin-1")).get("name", [])
        if len(names) != 1:
            raise Rejected("bad_request", "The stream key comes once, as the stream's name.", field="name")
        if await self._keys.holder(names[0]) is None:
            raise Rejected("unauthorized", "Unknown stream key.", field="name")
        return Response(None, 204)
