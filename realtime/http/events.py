"""`GET /v1/rooms/{room}/events`: a stretch of a room's log, or, as server-sent events, all of it from a position on."""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from realtime import ports
from realtime.auth import Identity
from realtime.gateway.admission import ANONYMOUS, actor_of
from realtime.gateway.codecs import JSON, BadCommand
from realtime.hosting.service import Service
from realtime.http.answers import answer
from realtime.http.credentials import Credentials
from realtime.http.pace import Pace
from realtime.http.streams import EventStream, Stream, Streams, Terms, leave
from realtime.metrics import Metrics
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected

_EVENT_ID = re.compile(r"([A-Za-z0-9]{1,32}):([0-9]{1,16})")
_STREAM = "text/event-stream"


class Events:
    def __init__(
        self,
        service: Service,
        credentials: Credentials,
        streams: Streams,
        terms: Terms,
        reads: Pace,
        joins: Pace,
        clock: ports.Clock,
        metrics: Metrics,
        *,
        anonymous: bool,
    ):
        self._service = service
        self._credentials = credentials
        self._streams = streams
        self._terms = terms
        self._reads = reads
        self._joins = joins
        self._clock = clock
        self._metrics = metrics
        self._anonymous = anonymous

    async def get(self, request: Request) -> Response:
        """Raises Rejected, Unavailable."""
        streaming = request.method == "GET" and _accepts_stream(request)
        name = "room.join" if streaming else "room.events"
        try:
            room = request.path_params["room"]
            identity = await self._credentials.for_room(request, room)
            response = await (self._stream if streaming else self._page)(request, room, identity)
        except Rejected as rejected:
            self._metrics.command(name, rejected.code)
            raise
        self._metrics.command(name, "ok")
        return response

    async def _page(self, request: Request, room: str, identity: Identity | None) -> Response:
        if identity is None:
            raise Rejected("unauthorized", "This needs a token.", field="token")
        self._reads.check(identity.user, self._clock())
        wanted: dict[str, object] = {
            name: _number(request.query_params.get(name)) for name in ("after", "before", "limit")
        }
        command = _command({"type": "room.events", "room": room} | wanted)
        return answer({"type": "ok"} | await self._service.answer(actor_of(identity), command))

    # Streams

    async def _stream(self, request: Request, room: str, identity: Identity | None) -> Response:
        if identity is None and not self._anonymous:
            raise Rejected("unauthorized", "This needs a token or a ticket.", field="token")
        actor = ANONYMOUS if identity is None else actor_of(identity)
        if identity is not None:
            self._joins.check(identity.user, self._clock())
        command = _command({"type": "room.join", "room": room, "since": await self._since(request, room, actor)})
        assert isinstance(command, c.RoomJoin)  # noqa: S101 - its type is given
        issued_ms = None if identity is None else identity.issued_ms or 0
        stream = Stream(room, actor, self._terms.retry_ms(), self._service.hub, issued_ms)
        try:
            if identity is not None:
                await self._arrive(identity, stream)
            await self._service.joining.join(command, stream, stream.joined)
        except BaseException:
            leave(stream, self._service)
            raise
        expires_ms = None if identity is None else identity.expires_ms
        return EventStream(
            stream,
            self._streams,
            self._service,
            self._clock,
            heartbeat_ms=self._terms.heartbeat_ms,
            expires_ms=expires_ms,
        )

    async def _arrive(self, identity: Identity, stream: Stream) -> None:
        """Counts the stream among the user's connections. Raises Rejected(`too_many`)."""
        most, users = self._terms.connections_per_user, self._service.users
        actor = actor_of(identity)
        room_left = not most or users.connections(actor.user) < most
        if not (room_left and await self._service.arrive(actor, identity.issued_ms, stream, most)):
            raise Rejected("too_many", f"A user has at most {most} connections.")

    async def _since(self, request: Request, room: str, actor: Actor) -> dict[str, object] | None:
        """Where to go on: after the event of the header `Last-Event-ID`, which a reconnecting EventSource sends, or of
        `?last_event_id=`, or after `?after=` in the room's present epoch. Raises Rejected.
        """
        for given, name in ((request.headers, "last-event-id"), (request.query_params, "last_event_id")):
            event_id = given.get(name)
            if event_id:
                found = _EVENT_ID.fullmatch(event_id)
                if found is None:
                    raise Rejected("bad_request", "An event's id is epoch:pos.", field=name)
                return {"epoch": found[1], "pos": int(found[2])}
        after = request.query_params.get("after")
        if after is None:
            return None
        _command({"type": "room.events", "room": room, "after": _number(after)})
        host = await self._service.directory.enter(room, actor)
        return {"epoch": host.epoch, "pos": int(after)}


def _accepts_stream(request: Request) -> bool:
    return any(
        one.partition(";")[0].strip().lower() == _STREAM
        for accepted in request.headers.getlist("accept")
        for one in accepted.split(",")
    )


def _command(fields: dict[str, object]) -> c.AnyCommand:
    """As if it had come as a command, so that one set of rules holds. Raises Rejected(`bad_request`)."""
    try:
        return JSON.decode(msgspec.json.encode({name: value for name, value in fields.items() if value is not None}))
    except BadCommand as bad:
        raise bad.rejected from None


def _number(text: str | None) -> int | str | None:
    """The number that a query says; what is none stays a text, for which the command's rules have a message."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,17}", text) else text
