"""`POST /v1/commands`: one command in, its reply out; the same checks and the same log as over WebSocket."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from realtime import ports
from realtime.auth import Identity
from realtime.gateway.admission import Admission, actor_of
from realtime.gateway.codecs import JSON, MSGPACK, BadCommand, Codec
from realtime.hosting.service import Service, unavailable
from realtime.http.answers import answer, refusal
from realtime.http.bodies import media_type, read_body
from realtime.http.credentials import Credentials
from realtime.http.pace import Pace
from realtime.metrics import Metrics
from rooms import commands as c
from rooms.errors import Rejected

CODECS = {
    "": JSON,
    "application/json": JSON,
    "application/msgpack": MSGPACK,
    "application/vnd.msgpack": MSGPACK,
    "application/x-msgpack": MSGPACK,
}
"""By the body's media type; the reply comes in the same."""


class Commands:
    def __init__(
        self,
        service: Service,
        admission: Admission,
        credentials: Credentials,
        pace: Pace,
        clock: ports.Clock,
        metrics: Metrics,
        body_bytes: int,
    ):
        self._service = service
        self._admission = admission
        self._credentials = credentials
        self._pace = pace
        self._clock = clock
        self._metrics = metrics
        self._body_bytes = body_bytes

    async def post(self, request: Request) -> Response:
        identity = await self._credentials.of_header(request)
        codec = codec_of(request)
        body = await read_body(request, self._body_bytes)
        name, command_id = "?", None
        try:
            try:
                command = codec.decode(body)
            except BadCommand as bad:
                command_id = bad.id
                self._pace.check(identity.user, self._clock())
                raise bad.rejected from None
            name, command_id = str(command.__struct_config__.tag), command.id
            self._pace.check(identity.user, self._clock())
            reply = await self._run(identity, command, codec, request.headers)
        except Rejected as rejected:
            return self._refuse(name, rejected, command_id, codec)
        except ports.Unavailable as error:
            return self._refuse(name, unavailable(error), command_id, codec)
        self._metrics.command(name, "ok")
        echoed = {} if command_id is None else {"id": command_id}
        return answer({"type": "ok"} | echoed | reply, codec=codec)

    async def _run(
        self, identity: Identity, command: c.AnyCommand, codec: Codec, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        if isinstance(command, c.TicketCreate):
            return {"ticket": await self._admission.ticket(identity, command)}
        tracer = self._service.tracer
        trace = tracer.begin(command, codec.name, headers) if tracer is not None else None
        return await self._service.answer(actor_of(identity), command, trace, headers.get("host", ""))

    def _refuse(self, name: str, rejected: Rejected, command_id: int | None, codec: Codec) -> Response:
        self._metrics.command(name, rejected.code)
        return refusal(rejected, command_id, codec)


def codec_of(request: Request) -> Codec:
    """Raises HTTPException(415)."""
    codec = CODECS.get(media_type(request))
    if codec is None:
        raise HTTPException(415, "A command is application/json or application/msgpack.")
    return codec
