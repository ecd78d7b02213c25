"""A room as the client sees it: joined, followed by position, joined again wherever the connection was lost."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from realtime.client.commands import RoomCommands, read_reply
from realtime.client.errors import CommandError, ConnectionLost, ProtocolViolation
from realtime.client.events import Event, Position, Removed, Reset, RoomInfo, Skip, decode_event
from realtime.client.link import Link
from realtime.client.stream import EventStream

if TYPE_CHECKING:
    from realtime.client.connection import Client


_NOWHERE = Position("", 0)  # before the first join; an epoch on the wire is never empty


class You(msgspec.Struct, frozen=True, kw_only=True):
    """One's own standing in a room; `muted_until` in milliseconds since the Unix epoch."""

    role: str
    muted_until: int | None = None
    read_pos: int = 0


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to `room.join`."""

    room: RoomInfo
    you: You
    epoch: str
    pos: int
    first_pos: int
    recovered: bool
    events: list[dict[str, Any]]


class Room(RoomCommands):
    """`async with client.room("g.lobby") as room:` joins, and leaves at the end.

    Commands work without joining too. While joined, `info`, `you` and `first_pos` hold what the last join said.

    The queue of unread events is bounded (`Client(queue=...)`; a recovery may add `limits.recover_events` at once).
    Overflow action: backpressure, never a drop. The client stops reading its socket until the application has read
    on, for all rooms, since they share it; a server that this holds up too long closes with 3008 or 3012, and the
    client reconnects and recovers. Only while the application waits for a command's reply, which may be behind the
    very events it does not read, does the client read on: it then lets go of this room, and once the application has
    read its queue down, joins again from the last queued position.
    """

    def __init__(self, client: "Client", room: str, since: Position | None) -> None:
        super().__init__(client, room)
        self.info: RoomInfo
        self.you: You
        self.first_pos: int
        self._client = client
        self._received = since or _NOWHERE
        self._stream = EventStream(client.queue_limit)
        self._stream.position = since
        self._link: Link | None = None
        self._detached = asyncio.Event()
        self._detached.set()
        self._joined_once: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def entering(self) -> bool:
        return not self._joined_once.done()

    @property
    def position(self) -> Position | None:
        """Up to where `events()` has handed out the log; `client.room(id, since=...)` continues from there."""
        return self._stream.position

    def events(self) -> EventStream:
        """The room's events in order, until it is left or this user is removed.

        Positions are checked: a hole, a double or a disorder that no `Skip` announces raises ProtocolViolation.
        A `Reset` says that the log could not be continued. Raises what ended the subscription: CommandError where
        joining again was refused, Closed where the client is at its end.
        """
        return self._stream

    async def __aenter__(self) -> Self:
        """Raises CommandError where the server refuses the join."""
        if self._task is not None:
            raise RuntimeError(f"room {self.id} was entered before: client.room() makes a new one")
        self._client.register(self)
        self._task = self._client.spawn(self._stay_joined())
        try:
            await self._joined_once
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        removed = self._stream.closed
        self.end()
        if not removed and self._client.connected:
            # However it is answered, the subscription is over, which is what was asked for.
            with contextlib.suppress(ConnectionLost, CommandError):
                await self._client.command("room.leave", room=self.id)

    def end(self, error: Exception | None = None) -> None:
        self._client.unregister(self)
        self._link = None
        self._stream.close(error)
        if self._task is not None:
            self._task.cancel()

    def fail(self, error: Exception) -> None:
        """End the subscription with `error`, raised by `events()` after what was queued before."""
        self.end(error)
        if self.entering:
            self._joined_once.set_exception(error)

    def detach(self) -> None:
        """Stop following; the room's task joins again once there is a connection and room in the queue."""
        self._link = None
        self._detached.set()
        self._stream.space.set()

    def wake(self) -> None:
        """A command was submitted: whoever waits for space decides again."""
        self._stream.space.set()

    async def deliver(self, raw: dict[str, Any], link: Link) -> None:
        """Queue an event read from `link`, waiting for space; ignored where the room does not follow that link."""
        while self._link is link and self._stream.full:
            if self._client.awaits_reply:
                self.detach()
                return
            link.stalled = True
            self._stream.space.clear()
            await self._stream.space.wait()
            link.stalled = False
        if self._link is not link:
            return
        try:
            self._accept(raw)
        except ProtocolViolation as violation:
            self.fail(violation)

    async def _stay_joined(self) -> None:
        while True:
            await self._detached.wait()
            await self._stream.until_space()
            body: dict[str, Any] = {"type": "room.join", "room": self.id}
            if self._received != _NOWHERE:
                body["since"] = msgspec.to_builtins(self._received)
            try:
                await self._client.submit_own(body, self._on_joined)
            except ConnectionLost:
                continue
            except CommandError as error:
                if self.entering or not error.retry:
                    self.fail(error)
                    return
                await self._client.pause(error.retry_after_ms)

    def _on_joined(self, reply: dict[str, Any], link: Link) -> None:
        if not self._client.is_current(link):
            return  # Read on a connection that was replaced meanwhile: still detached, so joined again.
        try:
            self._follow(read_reply(reply, Joined), link)
        except ProtocolViolation as violation:
            self.fail(violation)

    def _follow(self, joined: Joined, link: Link) -> None:
        self._check_recovery(joined)
        since, here = self._received, Position(joined.epoch, joined.pos)
        self.info, self.you, self.first_pos = joined.room, joined.you, joined.first_pos
        self._link = link
        self._detached.clear()
        if joined.recovered:
            for raw in joined.events:
                self._accept(raw)
            if self._received != here:
                raise ProtocolViolation(f"{self.id}: recovery ends at {self._received}, though its reply says {here}")
        else:
            self._received = here
            if since == _NOWHERE:
                self._stream.position = here
            else:
                reset = Reset(type="room.reset", room=self.id, epoch=here.epoch, pos=here.pos)
                self._stream.put(reset, here)
        if self.entering:
            self._joined_once.set_result(None)

    def _check_recovery(self, joined: Joined) -> None:
        since = self._received
        if not joined.recovered:
            if joined.events:
                raise ProtocolViolation(f"{self.id}: events in a join that did not recover")
        elif since.epoch != joined.epoch or since.pos > joined.pos or since.pos < joined.first_pos - 1:
            raise ProtocolViolation(
                f"{self.id}: recovered from {since} to {joined.epoch}:{joined.pos}, first_pos {joined.first_pos}"
            )

    def _accept(self, raw: dict[str, Any]) -> None:
        event = decode_event(raw)
        if event.room != self.id:
            raise ProtocolViolation(f"{self.id}: an event of room {event.room!r}")
        match event:
            case Reset(epoch=epoch, pos=int(pos)):
                self._received = Position(epoch, pos)
                self._stream.put(event, self._received)
            case Skip(first=first, last=last):
                self._advance(first, last)
                self._stream.put(event, self._received)
            case Removed():
                self._stream.put(event)
                self.end()
            case Event(pos=None):
                self._stream.put(event)
            case Event(pos=int(pos)):
                self._advance(pos, pos)
                self._stream.put(event, self._received)

    def _advance(self, first: int, last: int) -> None:
        expected = self._received.pos + 1
        if first != expected or last < first:
            raise ProtocolViolation(f"{self.id}: position {first} to {last} where {expected} was due")
        self._received = Position(self._received.epoch, last)
