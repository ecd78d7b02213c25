"""One WebSocket client: its session driven by what arrives, its rooms heard, its deadlines kept."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import structlog

from realtime import ports
from realtime.auth import Identity
from realtime.gateway.admission import ANONYMOUS, Admission, actor_of
from realtime.gateway.codecs import BadCommand, Codec
from realtime.gateway.error_log import describe
from realtime.gateway.pacing import Pacing
from realtime.gateway.session import Ended, Phase, Session
from realtime.gateway.websocket import Connection
from realtime.gateway.welcome import Welcome
from realtime.gateway.wheel import Wheel
from realtime.hosting.entry import Answer, noting
from realtime.hosting.host import Host
from realtime.hosting.service import Service, unavailable
from realtime.metrics import Metrics
from realtime.tracing import Trace
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected

log = structlog.get_logger("realtime.gateway")

LARGE = (c.Query, c.RoomJoin, c.ReadMark)
"""Commands whose replies are of any size, and paced."""
EXPIRING_MS = 60_000
"""How long before its end a token is said to be ending."""


class Surroundings(Protocol):
    """What the endpoints of a process share."""

    service: Service
    admission: Admission
    welcome: Welcome
    wheel: Wheel
    clock: ports.Clock
    metrics: Metrics
    endpoints: "set[Endpoint]"
    tasks: set[asyncio.Task[None]]


class Endpoint:
    """A connection's application side: receives from the socket, listens to rooms, belongs to a user."""

    __slots__ = (
        "_door",
        "_expires_ms",
        "_identity",
        "_pacing",
        "_warned",
        "actor",
        "connection",
        "due",
        "host",
        "rooms",
        "session",
    )

    def __init__(self, door: Surroundings, connection: Connection, codec: Codec, host: str = ""):
        self._door = door
        self.connection = connection
        self.session = Session(codec, door.welcome.session)
        self.actor: Actor = ANONYMOUS
        self.rooms: tuple[str, ...] = ()
        self.due, self.host = 0, sys.intern(host)
        self._identity: Identity | None = None
        self._expires_ms, self._warned = 0, False
        self._pacing: Pacing | None = None

    @property
    def user(self) -> str:
        return self.actor.user

    @property
    def form(self) -> Codec:
        return self.session.codec

    @property
    def unsent(self) -> int:
        """Bytes that wait for a slow client, without the reply that it is to take next."""
        return self.connection.unsent - (self._pacing.unsent if self._pacing is not None else 0)

    @property
    def lagging(self) -> bool:
        return self.connection.choked

    @property
    def identity(self) -> Identity | None:
        return self._identity

    @property
    def issued_ms(self) -> int | None:
        return None if self._identity is None else self._identity.issued_ms or 0

    # What arrives

    def opened(self, token: str | None) -> None:
        if token is None:
            self._door.wheel.after(self, self._door.welcome.hello_seconds)
        else:
            self.session.phase = Phase.CHECKING
            self._offer(c.Hello(token=token))

    def message(self, data: bytes, text: bool) -> None:
        try:
            command = self.session.receive(data, text, self._door.clock())
            if command is not None:
                self._offer(command)
        except BadCommand as bad:
            self._refuse(bad.id, bad.rejected, "?")
        except Ended as ended:
            self.connection.close(ended.code, ended.reason)

    def waits(self) -> None:
        for room in self.rooms:
            self._door.service.hub.waits(room, self)

    def choked(self) -> None:
        for room in self.rooms:
            self._door.service.hub.lags(room, self)

    def writable(self) -> None:
        self._drained()
        for room in self.rooms:
            self._door.service.hub.keeps_up(room, self)

    def ending(self) -> None:
        rooms, self.rooms = self.rooms, ()
        for room in rooms:
            self._door.service.hub.remove(room, self, gone=True)

    def leave(self) -> None:
        self.connection.pause_reading()
        self._pacing = self._pacing or Pacing()
        self._pacing.leave()

    def closed(self, code: int, reason: str) -> None:
        door = self._door
        door.endpoints.discard(self)
        door.wheel.cancel(self)
        self._drained()
        if self.actor.user:
            door.service.users.disconnect(self.actor.user, self)
        door.metrics.closed(code)

    def expired(self) -> None:
        """No hello in time; or the token is about to end, or has ended."""
        if self.session.phase is Phase.NEW:
            self._say_unauthorized(Rejected("unauthorized", "Say hello in time."))
        if self._identity is None:
            return
        left = self._expires_ms - self._door.clock()
        if left <= 0:
            self.connection.close(3005, "token expired")
            return
        if left <= EXPIRING_MS and not self._warned:
            self._warned = True
            self.tell({"type": "token.expiring", "expires_at": self._expires_ms})
        self._await_expiry()

    # What is sent

    def out(self, frames: bytes) -> None:
        self.connection.write(frames)

    def tell(self, event: dict[str, Any], *, asked: bool = False) -> None:
        """Writes an object of any size, unless what was written before, beside what was `asked`, is too much yet."""
        limit = self._door.welcome.unsent_bytes
        if self.connection.choked and limit and self.unsent > limit:
            self.too_slow()
            return
        frame = self.session.codec.framed(event)
        if not self.connection.write(frame) and asked and self._pacing is not None:
            self._pacing.filled(len(frame))

    def logged_out(self) -> None:
        asyncio.get_running_loop().call_soon(self.connection.close, 3500, "logged out")

    def too_slow(self) -> None:
        self.connection.close(3008, "too slow")

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self._forget(room)
        self.tell(notice)

    def _ok(self, command: c.AnyCommand, reply: dict[str, Any]) -> None:
        self._door.metrics.command(str(command.__struct_config__.tag), "ok")
        if command.id is not None:
            self.tell({"type": "ok", "id": command.id, **reply}, asked=isinstance(command, LARGE))

    def _refuse(self, command_id: int | None, rejected: Rejected, name: str) -> None:
        self._door.metrics.command(name, rejected.code)
        self.tell(rejected.reply(command_id))

    # Commands

    def _offer(self, command: c.AnyCommand) -> None:
        host = self._door.service.at_hand(self.actor, command)
        if self.session.may_start(command, alone=host is None):
            self._start(command, host)

    def _start(self, command: c.AnyCommand, host: Host | None) -> None:
        answer: Answer = partial(self._answered, command)
        tracer = self._door.service.tracer
        trace = tracer.begin(command, self.session.codec.name) if tracer is not None else None
        if trace is not None:
            answer = noting(trace, answer)
        if host is not None and isinstance(command, c.Change):
            try:
                self._door.service.submit_to(host, self.actor, command, self, answer, trace)
            except Rejected as rejected:
                answer(rejected)
            return
        task = asyncio.get_running_loop().create_task(self._run(command, answer, trace))
        self._door.tasks.add(task)
        task.add_done_callback(self._door.tasks.discard)

    def _answered(self, command: c.AnyCommand, reply: dict[str, Any] | Rejected) -> None:
        """A command has its answer, and those behind it their turn."""
        if not isinstance(reply, Rejected):
            self._ok(command, reply)
        elif command.id is None and command.id_optional:
            self._door.metrics.command(str(command.__struct_config__.tag), reply.code)
        else:
            self._refuse(command.id, reply, str(command.__struct_config__.tag))
        self._advance(command)

    async def _run(self, command: c.AnyCommand, answer: Answer, trace: Trace | None) -> None:
        try:
            if isinstance(command, c.Change):
                self._anybody(command)
                await self._door.service.submit(self.actor, command, self, answer, trace)
                return
            await self._act(command)
        except Rejected as rejected:
            answer(rejected)
        except ports.Unavailable as error:
            answer(unavailable(error))
        except Ended as ended:
            self.connection.close(ended.code, ended.reason)
        except Exception as error:
            log.error("command_failed", type=command.__struct_config__.tag, **describe(error))  # noqa: TRY400 - tracebacks may quote messages
            answer(Rejected("internal", "Something went wrong here."))

    async def _act(self, command: c.AnyCommand) -> None:
        """A command of the connection, or one that reads. Raises Rejected, Unavailable, Ended."""
        match command:
            case c.Hello():
                await self._hello(command)
            case c.Refresh():
                await self._refresh(command)
            case c.Ping():
                self._answered(command, {"server_time": self._door.clock()})
            case c.RoomJoin():
                await self._paced(command, self._join)
            case c.RoomLeave():
                self._forget(command.room)
                self._door.service.hub.remove(command.room, self)
                self._answered(command, {})
            case c.TicketCreate():
                self._anybody(command)
                if self._identity is None:
                    raise Rejected("unauthorized", "Say who you are first.")
                ticket = await self._door.admission.ticket(self._identity, command)
                self._answered(command, {"ticket": ticket})
            case _:
                self._anybody(command)
                await self._paced(command, self._ask)

    async def _paced(self, command: c.AnyCommand, answer: Callable[[Any], Awaitable[None]]) -> None:
        self._pacing = self._pacing or Pacing()
        try:
            await self._pacing.answer(command, answer)
        finally:
            if self._pacing is not None and self._pacing.idle:
                self._pacing = None

    def _drained(self) -> None:
        if self._pacing is not None:
            self._pacing.drained()
            if self._pacing.idle:
                self._pacing = None

    async def _ask(self, command: c.AnyCommand) -> None:
        self._answered(command, await self._door.service.answer(self.actor, command, asked_at=self.host))

    def _anybody(self, command: c.AnyCommand) -> None:
        """Raises Rejected for a viewer without a name, who may only listen."""
        if not self.actor.user:
            raise Rejected("unauthorized", "Say who you are first.")

    async def _join(self, command: c.RoomJoin) -> None:
        most = self._door.welcome.rooms
        if most and command.room not in self.rooms and len(self.rooms) >= most:
            raise Rejected("too_many", f"A connection listens to at most {most} rooms.")
        self._remember(command.room)
        try:
            await self._door.service.joining.join(command, self, partial(self._joined, command))
        except BaseException:
            # Joining again that fails ends the subscription there was: the client knows of none.
            self._forget(command.room)
            self._door.service.hub.remove(command.room, self)
            raise
        if self.connection.closing:
            self._door.service.hub.remove(command.room, self, gone=True)
        self._advance(command)

    def _joined(self, command: c.RoomJoin, reply: dict[str, Any]) -> None:
        """In the step of the loop in which the hub adds it: what ends the connection finds the room among its own."""
        # Who was sent away while the past was read, and may come back at once, has just done so.
        self._remember(command.room)
        self._ok(command, reply)

    def _remember(self, room: str) -> None:
        if room not in self.rooms:
            # One text for all who listen to the room.
            self.rooms = (*self.rooms, sys.intern(room))

    def _forget(self, room: str) -> None:
        self.rooms = tuple(one for one in self.rooms if one != room)

    def _advance(self, command: c.AnyCommand) -> None:
        if not self.session.done(command):
            return
        at_hand = partial(self._door.service.at_hand, self.actor)
        while (following := self.session.following(command, lambda one: at_hand(one) is None)) is not None:
            self._start(following, at_hand(following))

    # Who it is

    async def _hello(self, command: c.Hello) -> None:
        door = self._door
        try:
            if command.token is not None or not door.welcome.anonymous:
                await self._become(await door.admission.identify(command.token or ""))
        except Rejected as rejected:
            if rejected.code != "unauthorized":
                self.tell(rejected.reply(None))
                raise Ended(3013 if rejected.code == "too_many" else 1013, rejected.message) from None
            self._say_unauthorized(rejected)
            return
        except ports.Unavailable as error:
            self.tell(unavailable(error).reply(None))
            raise Ended(1013, "try again later") from None
        if self.connection.closing:
            if self.actor.user:
                door.service.users.disconnect(self.actor.user, self)
            return
        self.tell(door.welcome.said(command.id, door.service.fresh(), self.actor, door.clock()))
        backlog = self.session.welcome()
        self._advance(command)
        for waiting in backlog:
            try:
                if self.session.pace(waiting, door.clock()) is not None:
                    self._offer(waiting)
            except BadCommand as bad:
                self._refuse(bad.id, bad.rejected, str(waiting.__struct_config__.tag))

    async def _become(self, identity: Identity) -> None:
        """Raises Rejected, Unavailable, Ended(3504)."""
        door, actor = self._door, actor_of(identity)
        if not await door.service.arrive(actor, identity.issued_ms, self, door.welcome.connections_per_user):
            door.service.users.disconnect(actor.user, self)
            raise Ended(3504, "too many connections")
        self.actor, self._identity, self._expires_ms = actor, identity, identity.expires_ms
        self._await_expiry()

    def _say_unauthorized(self, rejected: Rejected) -> None:
        self._refuse(None, rejected, "hello")
        self.connection.close(3500, "bad token")

    async def _refresh(self, command: c.Refresh) -> None:
        """A new token for the same user. What it no longer grants ends."""
        door = self._door
        identity = await door.admission.identify(command.token)
        if not self.actor.user or identity.user != self.actor.user:
            raise Rejected("unauthorized", "The token is another user's.", field="token")
        actor = actor_of(identity)
        await door.service.check_profile(actor, identity.issued_ms)
        self.actor, self._identity = actor, identity
        self._expires_ms, self._warned = identity.expires_ms, False
        self._await_expiry()
        for room in self.rooms:
            await door.service.recheck(room, self)
        self._answered(command, {})

    def _await_expiry(self) -> None:
        if self.connection.closing:
            return  # `closed` may have been called already, and nothing else would take it off the wheel.
        left = self._expires_ms - self._door.clock()
        self._door.wheel.after(self, max(0, left if self._warned else left - EXPIRING_MS) / 1_000)
