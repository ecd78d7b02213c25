"""The streams of a media process: who publishes them, what a gateway is told, and how they end."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from relay.engine import Running
from relay.news import UNHEARD, News
from relay.ports import Admitted, Claim, Gate, Intake, Output, Publisher, Reason, Refused
from relay.stream import Caps, Publishing, Stream, TooMuch
from relay.units import Unit

log = structlog.get_logger("relay.streams")

HEALTH_SECONDS = 2.0
MOST_STOPPED = 4_096
"""Rooms of which it is known that they were stopped. Beyond that the oldest is forgotten: a publisher that was admitted
before the stop, and comes after it, is then found by the gateways' second beat.
"""


class StreamsSettings(Struct, frozen=True):
    """`publishers` at most. A stream whose publisher is gone waits `grace_seconds` for another one."""

    caps: Caps
    publishers: int
    grace_seconds: float


class _Intake:
    """Of one publisher, as long as it is the stream's."""

    def __init__(self, streams: "Streams", stream: Stream, publishing: Publishing):
        self._streams, self._stream, self._publishing = streams, stream, publishing

    def unit(self, unit: Unit) -> None:
        if self._stream.publishing is self._publishing:
            self._streams.take(self._stream, self._publishing, unit)

    def left(self, reason: Reason) -> None:
        if self._stream.publishing is self._publishing:
            self._streams.lose(self._stream, self._publishing, reason)


class Streams:
    """Is the `Reception`. `outputs` makes what every new stream has, for as long as it lives; `ended` is called with a
    stream that has ended.

    Where no gateway answers, publishers are refused (`unavailable`) and running streams go on; what has happened is
    told to the gateway once there is one.
    """

    def __init__(
        self,
        gate: Gate,
        news: News,
        settings: StreamsSettings,
        outputs: Callable[[Stream], Iterable[Output]],
        ended: Callable[[Stream], None] = lambda stream: None,
    ):
        self.refused = 0
        self._gate, self._news, self._settings = gate, news, settings
        self._outputs, self._ended = outputs, ended
        self._streams: dict[str, Stream] = {}
        self._stopped: OrderedDict[str, int] = OrderedDict()
        """By room, the last fence that may not publish any more."""
        self._graces: dict[Stream, asyncio.TimerHandle] = {}
        self._reporting: set[asyncio.Task[None]] = set()
        self._admitting = 0

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def get(self, room: str) -> Stream | None:
        return self._streams.get(room)

    @property
    def publishers(self) -> int:
        return sum(stream.publishing is not None for stream in self._streams.values())

    async def publish(self, claim: Claim, publisher: Publisher) -> Intake:
        """`relay.ports.Reception.publish`."""
        if self.publishers + self._admitting >= self._settings.publishers:
            self.refused += 1
            raise Refused("too_many", f"{self._settings.publishers} publishers are at work here already.")
        self._admitting += 1
        try:
            admitted = await self._gate.admit(claim)
        except Refused:
            self.refused += 1
            raise
        finally:
            self._admitting -= 1
        stream = self._stream_for(admitted)
        return _Intake(self, stream, stream.attach(admitted, publisher, time.monotonic()))

    def _stream_for(self, admitted: Admitted) -> Stream:
        """The room's stream without a publisher; a new one where the session is, or has become public unheard. Raises
        Refused, also where the stop of this very publisher was quicker than the answer that admits it.
        """
        if admitted.fence <= self._stopped.get(admitted.room, 0):
            raise Refused("forbidden", "This stream has been stopped.")
        stream = self._streams.get(admitted.room)
        if stream is not None:
            if stream.admitted.fence > admitted.fence:
                raise Refused("forbidden", "A newer publisher has taken this room.")
            if stream.publishing is not None:
                publisher = stream.publishing.publisher
                stream.detach()
                publisher.close("replaced")
            if (stream.admitted.session, stream.admitted.test) == (admitted.session, admitted.test):
                if grace := self._graces.pop(stream, None):
                    grace.cancel()
                return stream
            self._end(stream, "replaced")
        stream = self._streams[admitted.room] = Stream(admitted, self._settings.caps)
        for output in self._outputs(stream):
            stream.add(output)
        log.info("stream_begins", room=admitted.room, session=admitted.session)
        return stream

    def take(self, stream: Stream, publishing: Publishing, unit: Unit) -> None:
        """A unit of the stream's present publisher."""
        try:
            begins = stream.unit(publishing, unit, time.monotonic())
        except TooMuch as error:
            self.report(stream, {"type": "live.warning", "room": stream.room, "message": str(error)})
            self._close(stream, publishing, "refused")
            return
        if begins:
            self._news.say(stream.room, lambda: self._say_flowing(stream, publishing))

    def lose(self, stream: Stream, publishing: Publishing, reason: Reason) -> None:
        """The stream's present publisher is gone."""
        admitted = publishing.admitted
        log.info("publisher_left", room=stream.room, reason=reason)
        stream.detach()
        self._graces[stream] = asyncio.get_running_loop().call_later(
            self._settings.grace_seconds, self._end, stream, "gone"
        )
        self._news.say(stream.room, lambda: self._gate.left(stream.room, admitted.session, admitted.fence, reason))

    def running(self) -> tuple[Running, ...]:
        """`relay.engine.Engine.publishers`."""
        return tuple(
            Running(
                stream.room, stream.admitted.session, stream.admitted.fence, stream.admitted.test, publishing.flowing
            )
            for stream in self
            if (publishing := stream.publishing) is not None
        )

    async def stop(self, room: str, fence: int, reason: Reason) -> None:
        """`relay.engine.Engine.stop`. That a publisher is gone is told also to who had it stopped: whatever the store
        says of it by then, it does not wait for it.
        """
        self._stopped[room] = max(fence, self._stopped.get(room, 0))
        self._stopped.move_to_end(room)
        if len(self._stopped) > MOST_STOPPED:
            self._stopped.popitem(last=False)
        stream = self._streams.get(room)
        if stream is None or stream.admitted.fence > fence:
            return
        admitted, publishing = stream.admitted, stream.publishing
        self._end(stream, reason)
        if publishing is not None:
            publishing.publisher.close(reason)
            self._news.say(room, lambda: self._gate.left(room, admitted.session, admitted.fence, reason))

    async def run(self) -> None:
        """Reports health, until it is cancelled."""
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            for stream in tuple(self._streams.values()):
                self._report_health(stream)

    async def close(self) -> None:
        """Ends all publishers politely (`leaving`) and their streams, and says so once to a gateway."""
        said = []
        for stream in tuple(self._streams.values()):
            admitted, publishing = stream.admitted, stream.publishing
            self._end(stream, "leaving")
            if publishing is not None:
                publishing.publisher.close("leaving")
                said.append(self._gate.left(stream.room, admitted.session, admitted.fence, "leaving"))
        for error in await asyncio.gather(*said, return_exceptions=True):
            if isinstance(error, BaseException):
                log.warning("gateway_not_told", reason=str(error))
        for task in self._reporting:
            task.cancel()
        await asyncio.gather(*self._reporting, return_exceptions=True)

    def _close(self, stream: Stream, publishing: Publishing, reason: Reason) -> None:
        """Ends the publisher's connection; the stream has its grace."""
        self.lose(stream, publishing, reason)
        publishing.publisher.close(reason)

    def _end(self, stream: Stream, reason: Reason) -> None:
        if grace := self._graces.pop(stream, None):
            grace.cancel()
        if self._streams.get(stream.room) is stream:
            del self._streams[stream.room]
        stream.end(reason)
        log.info("stream_ended", room=stream.room, session=stream.admitted.session, reason=reason)
        self._ended(stream)

    # What a gateway is told

    async def _say_flowing(self, stream: Stream, publishing: Publishing) -> None:
        admitted = publishing.admitted
        try:
            await self._gate.flowing(admitted.room, admitted.session, admitted.fence)
        except Refused as refused:
            if refused.code in UNHEARD:
                raise
            log.info("publisher_superseded", room=admitted.room, reason=refused.message)
            if stream.publishing is publishing:
                self._end(stream, "replaced")
                publishing.publisher.close("replaced")

    def _report_health(self, stream: Stream) -> None:
        publishing = stream.publishing
        if publishing is None:
            return
        keyframes = publishing.keyframes
        advice = [text for text in (keyframes.advice, stream.clock.advice) if text]
        health = publishing.meter.health(publishing.publisher.received(), keyframes.interval, advice, time.monotonic())
        self.report(stream, {"type": "live.health", "room": stream.room, **msgspec.structs.asdict(health)})

    def report(self, stream: Stream, event: dict[str, Any]) -> None:
        """To the creator. May be lost, so it is said once."""
        task = asyncio.get_running_loop().create_task(self._say_once(stream, event))
        self._reporting.add(task)
        task.add_done_callback(self._reporting.discard)

    async def _say_once(self, stream: Stream, event: dict[str, Any]) -> None:
        try:
            await self._gate.report(stream.room, stream.admitted.user, event)
        except Refused as refused:
            log.debug("report_dropped", room=stream.room, reason=refused.message)
