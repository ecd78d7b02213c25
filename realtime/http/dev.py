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
from rooms.errors import Rejected
from rooms.ids import UserId

TTL_SECONDS = 12 * 3_600


class _Wanted(Struct):
    user: UserId
    name: Annotated[str, Meta(max_length=128)] = ""


class DevTokens:
    def __init__(self, auth: Auth, clock: ports.Clock):
        self._auth = auth
        self._clock = clock

    async def post(self, request: Request) -> Response:
        """Raises HTTPException(415), Rejected(`bad_request`)."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "This takes application/json.")
        body = await request.body()
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
