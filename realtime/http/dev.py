"""`POST /v1/dev/token`: whoever asks gets a token for whomever they name. Only there with `--dev`."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from realtime import ports
from realtime.auth import BadToken, issue
from realtime.config import Auth
from realtime.http.answers import answer
from realtime.http.bodies import media_type, read_body
from rooms.errors import Rejected
from rooms.ids import UserId

TTL_SECONDS = 12 * 3_600


class _Wanted(Struct):
    user: UserId
    name: Annotated[str, Meta(max_length=128)] = ""


class DevTokens:
    def __init__(self, auth: Auth, clock: ports.Clock, body_bytes: int):
        self._auth = auth
        self._clock = clock
        self._body_bytes = body_bytes

    async def post(self, request: Request) -> Response:
        """Raises HTTPException(413, 415), Rejected(`bad_request`)."""
        if media_type(request) != "application/json":
            raise HTTPException(415, "This takes application/json.")
        body = await read_body(request, self._body_bytes)
        try:
            wanted = msgspec.json.decode(body, type=_Wanted)
            token = issue(
                self._auth.secret,
                wanted.user,
                now_ms=self._clock(),
                ttl_seconds=TTL_SECONDS,
                name=wanted.name,
                issuer=self._auth.issuer,
                audience=self._auth.audience,
            )
        except (msgspec.DecodeError, UnicodeError, RecursionError, BadToken) as error:
            raise Rejected("bad_request", str(error).replace("`", "")) from None
        return answer({"token": token})
