"""Server-sent events (WHATWG HTML, "Server-sent events"): a room's events for who cannot hold a WebSocket."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.gateway.codecs import JSON
from realtime.hosting.service import Service
from rooms.actors import Actor
from rooms.events import Event, Skip

HIGH_WATER, LOW_WATER = 65_536, 16_384
"""Bytes that wait for the client: above the first it lags, until no more than the second are left."""
PING = b": ping\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class SseForm:
    """Events as server-sent events. The id names the position from which a client goes on: `epoch:pos`."""

    def event(self, event: object, epoch: str) -> bytes:
        if isinstance(event, Event):
            return frame(str(event.__struct_config__.tag), event, f"{epoch}:{event.pos}")
        if isinstance(event, Skip):
            return frame("room.skip", event, f"{epoch}:{event.last}")
        assert isinstance(event, dict)  # noqa: S101 - an ephemeral event
        return frame(event["type"], event)

    def part(self, event: object, epoch: str) -> bytes:
        return self.event(event, epoch)

    def whole(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)


FORM = SseForm()


def frame(name: str, data: object, event_id: str | None = None, retry_ms: int | None = None) -> bytes:
    """One event. JSON has no line breaks, so `data` is one line."""
    lines = f"id: {event_id}\n" if event_id is not None else ""
    if retry_ms is not None:
        lines += f"retry: {retry_ms}\n"
    return f"{lines}event: {name}\ndata: ".encode() + JSON.encode(data) + b"\n\n"


class Streams:
    """The open streams of this process."""

    def __init__(self) -> None:
        self.open: set[Stream] = set()

    def __len__(self) -> int:
        return len(self.open)

    def end_all(self) -> None:
        """Tells all clients to reconnect, and ends their streams behind what was written to them."""
        for stream in list(self.open):
            stream.tell({"type": "reconnect", "within_ms": stream.retry_ms})
            stream.end()


class Stream:
    """One client's stream of one room: a listener, and (where the user has a name) a recipient.

    What the client does not take waits here, at most `unsent_bytes` of it: above, the hub ends the stream and what
    waits is dropped; the client comes back with the id of the last event that it got.
    """

    form = FORM
    connection = None

    def __init__(self, room: str, actor: Actor, retry_ms: int, hub: Hub, issued_ms: int | None = None):
        self.room = room
        self._hub = hub
        self.actor = actor
        self.retry_ms = retry_ms
        self.issued_ms = issued_ms
        self.unsent = 0
        self.lagging = False
        self.ended = False
        self._joined = False
        self._frames: list[bytes] = []
        self._wake = asyncio.Event()

    @property
    def user(self) -> str:
        return self.actor.user

    def out(self, frames: bytes) -> None:
        if self.ended:
            return
        self._frames.append(frames)
        self.unsent += len(frames)
        self._wake.set()
        if self.unsent > HIGH_WATER and not self.lagging:
            self.lagging = True
            self._hub.lags(self.room, self)

    def tell(self, event: dict[str, Any]) -> None:
        """What is told before the join is left out: `joined` comes first."""
        if self._joined:
            self.out(FORM.event(event, ""))

    def ping(self) -> None:
        if not self.unsent:
            self.out(PING)

    def joined(self, reply: dict[str, Any]) -> None:
        """The reply, then what was missed. Its id lets a client that hears nothing more go on from there; where events
        were missed, they have ids of their own.
        """
        self._joined = True
        epoch, missed = reply["epoch"], reply["events"]
        data = {"type": "joined"} | {name: value for name, value in reply.items() if name != "events"}
        event_id = None if missed else f"{epoch}:{reply['pos']}"
        self.out(frame("joined", data, event_id, self.retry_ms))
        if missed:
            self.out(missed)

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self.tell(notice)
        self.end()

    def logged_out(self) -> None:
        self.end()

    def too_slow(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Ends at once: what waits is dropped."""
        self._frames.clear()
        self.end()

    def end(self) -> None:
        """What was written still goes out; nothing more is taken."""
        self.ended = True
        self._wake.set()

    async def next(self) -> bytes:
        """All that waits, once something does; nothing at the end."""
        while not self._frames and not self.ended:
            self._wake.clear()
            await self._wake.wait()
        frames, self._frames = b"".join(self._frames), []
        return frames

    def sent(self, size: int) -> None:
        self.unsent -= size
        if self.lagging and self.unsent <= LOW_WATER:
            self.lagging = False
            self._hub.keeps_up(self.room, self)


class Terms(Struct, frozen=True):
    """What holds for every stream."""

    heartbeat_ms: int
    reconnect_within_ms: int
    connections_per_user: int

    def retry_ms(self) -> int:
        """When an EventSource comes back, at random: those whom one server loses do not all return at once."""
        return 1_000 + random.randint(0, self.reconnect_within_ms)  # noqa: S311 - spreads load, guards nothing


class EventStream(Response):
    """The response that carries a stream that has joined its room, until client, room, token or server end it."""

    def __init__(
        self,
        stream: Stream,
        streams: Streams,
        service: Service,
        clock: ports.Clock,
        *,
        heartbeat_ms: int,
        expires_ms: int | None,
    ):
        super().__init__(None, 200, HEADERS, "text/event-stream")
        del self.headers["content-length"]
        self._stream = stream
        self._streams = streams
        self._service = service
        self._clock = clock
        self._heartbeat_ms = heartbeat_ms
        self._expires_ms = expires_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._stream
        around = [asyncio.create_task(self._until_gone(receive)), asyncio.create_task(self._tick())]
        self._streams.open.add(stream)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while frames := await stream.next():
                await send({"type": "http.response.body", "body": frames, "more_body": True})
                stream.sent(len(frames))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._streams.open.discard(stream)
            leave(stream, self._service)
            for task in around:
                task.cancel()

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.abandon()

    async def _tick(self) -> None:
        """Pings, and the end of the token."""
        while not self._stream.ended:
            wait = self._heartbeat_ms
            if self._expires_ms is not None:
                wait = min(wait, self._expires_ms - self._clock())
            if wait <= 0:
                self._stream.end()
                return
            await asyncio.sleep(wait / 1_000)
            self._stream.ping()


def leave(stream: Stream, service: Service) -> None:
    """The stream listens to nothing any more, and its user has a connection less."""
    stream.end()
    service.hub.remove(stream.room, stream)
    if stream.user:
        service.users.disconnect(stream.user, stream)
