"""One live stream as an edge process has it: the newest parts in memory, who watches, and who waits for a playlist."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from realtime.edge.audience import Audience, Counters
from realtime.gateway.frames import binary_frame, text_frame
from relay import cmaf
from relay.feed_values import Began, Index, Interrupted, Over, Poster, Stored, Told
from relay.hls.media import live_playlist
from relay.hls.names import Names
from relay.hls.window import SKIP_UNTIL, Segment, Window
from relay.parts_values import LONGEST_SEGMENT, Init, Keyframes, Part, SegmentEnded
from relay.units import HZ

MEMORY_TICKS = SKIP_UNTIL * HZ - LONGEST_SEGMENT
"""Of segments in memory: as much as clients may still ask for where nothing is on disk. What is lost with it becomes a
gap before delta updates skip it: of what they skip nothing may have changed (RFC 8216bis, 6.2.5.1).
"""
SHORT_TICKS = 60 * HZ
"""What live.m3u8 and audio.m3u8 go back; dvr.m3u8 has all there is."""
MEMORY_BYTES = 96 * 1024 * 1024
BACKLOG_BYTES = 32 * 1024 * 1024
"""From a keyframe on, for who joins: with more than that they wait for the next one."""
_text = msgspec.json.Encoder().encode


def text(**message: object) -> bytes:
    return text_frame(_text(message))


class Kept(Struct, frozen=True):
    """A part for who joins. `number` counts all parts of this stream here."""

    number: int
    start: int
    end: int
    frame: bytes


class Live:
    """`dvr_seconds`: how far back its window goes, of what is on disk."""

    def __init__(self, began: Began, dvr_seconds: int, counters: Counters):
        self.began = began
        self.names = Names(began.secret)
        self.window = Window(max(dvr_seconds, MEMORY_TICKS / HZ))
        self.inits: dict[int, Init] = {}
        """Those that segments of the window need, and later ones."""
        self.stored: dict[int, Stored] = {}
        self.parts: dict[int, list[bytes]] = {}
        self.poster = b""
        self.plain = ""
        """Why there is no low latency; empty where there is."""
        self.interrupted = False
        self.over: Over | None = None
        self.hls_viewers: dict[str, float] = {}
        """When each of them last asked for a playlist, by the loop's time."""
        self.audience = Audience(counters)
        self.backlog: deque[Kept] = deque()
        self.number = 0
        self._backlog_bytes = self._memory = 0
        self._sending: set[Callable[[], None]] = set()
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._audio: dict[tuple[int, int], bytes] = {}
        self._sizes: deque[int] = deque(maxlen=30)
        self._new_init = False
        self._init = 0
        self._written: dict[tuple[str, bool], bytes] = {}
        self._written_for = -1

    # What the feed says

    def tell(self, told: Told) -> None:
        if isinstance(told, Init):
            self._new_init = self._new_init or told.number not in self.inits
            self.inits[told.number] = told
        elif isinstance(told, Part):
            self._part(told)
        elif isinstance(told, SegmentEnded):
            self._segment(told)
        elif isinstance(told, Keyframes):
            self.plain = "" if told.often else (
                f"no low latency: keyframes are {told.seconds:.0f} s apart; with at most 10 s there is"
            )  # fmt: skip
            self.window.version += 1
        elif isinstance(told, Index):
            for stored in told.segments:
                self.stored[stored.msn] = stored
                if stored.size:
                    self._sizes.append(_rate(stored.size, stored.duration))
            self.window.past(segment_of(stored) for stored in told.segments)
        elif isinstance(told, Stored):
            self.stored[told.msn] = told
            if not told.size and told.msn not in self.parts:
                self.window.lose(told.msn)
        elif isinstance(told, Poster):
            self.poster = told.data
        elif isinstance(told, Interrupted):
            self.interrupt()
        elif isinstance(told, Over):
            self.end(told)
        self._wake()

    def interrupt(self) -> None:
        if not self.interrupted:
            self.interrupted = True
            self._say(text(type="interrupted"))

    def end(self, over: Over) -> None:
        if self.over is None:
            self.window.finish()
            self._say(text(type="ended", reason=over.reason))
        self.over = over
        if over.hidden:
            self.parts.clear()
            self._audio.clear()
            self.backlog.clear()
            self.poster = b""
            for abort in tuple(self._sending):
                abort()

    @contextmanager
    def sending(self, abort: Callable[[], None]) -> Iterator[None]:
        """While something of it is sent: `abort` ends that, where it may not be shown any more."""
        self._sending.add(abort)
        try:
            yield
        finally:
            self._sending.discard(abort)

    @property
    def hidden(self) -> bool:
        """Nothing of it may be shown any more."""
        return self.over is not None and self.over.hidden

    async def changed(self, until: float) -> bool:
        """Waits until something has been told. False: the loop's time is `until`."""
        loop = asyncio.get_running_loop()
        done, _ = await asyncio.wait([self._changed], timeout=max(0.0, until - loop.time()))
        return bool(done)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)

    def _say(self, frame: bytes) -> None:
        self.number += 1
        self.audience.publish(self.number, frame, independent=False, text=True)

    def _part(self, part: Part) -> None:
        if not self.window.part(part):
            return
        self.parts.setdefault(part.msn, []).append(part.data)
        self._memory += len(part.data)
        if part.empty:
            return
        if self.interrupted:
            self.interrupted = False
            self._say(text(type="resumed"))
        self.number += 1
        frame = binary_frame(part.data)
        if part.independent:
            self.backlog.clear()
            self._backlog_bytes = 0
        if part.independent or self.backlog:
            self.backlog.append(Kept(self.number, part.start, part.start + part.duration, frame))
            self._backlog_bytes += len(frame)
        if self._backlog_bytes > BACKLOG_BYTES:
            self.backlog.clear()
            self._backlog_bytes = 0
        first = b""
        if part.init != self._init:
            self._init = part.init
            first = self.init_frames()
        self.audience.publish(self.number, first + frame if first else frame, part.independent)

    def init_frames(self) -> bytes:
        """Text and init segment, as they come before the parts."""
        init = self.inits[self._init]
        said = text(type="init", codecs=init.codecs, width=init.width, height=init.height, epoch_ms=self.began.epoch_ms)
        return said + binary_frame(init.data)

    @property
    def init(self) -> int:
        """The present init segment's number; 0 before the first part."""
        return self._init

    def _segment(self, ended: SegmentEnded) -> None:
        if not self.window.end(ended):
            return
        self._sizes.append(_rate(sum(map(len, self.parts.get(ended.msn, ()))), ended.duration))
        while len(self.parts) > 1:
            msn = next(iter(self.parts))
            segment = self.window.find(msn)
            old = segment is None or ended.start + ended.duration - segment.start > MEMORY_TICKS
            if not old and self._memory <= MEMORY_BYTES:
                break
            self._memory -= sum(map(len, self.parts.pop(msn)))
            for key in [key for key in self._audio if key[0] == msn]:
                del self._audio[key]
            if segment is not None and not self.readable(msn):
                self.window.lose(msn)
        for msn in [msn for msn in self.stored if self.window.find(msn) is None and msn < ended.msn]:
            del self.stored[msn]
        for number in [number for number in self.inits if number < self.window.segments[0].init]:
            del self.inits[number]

    # What clients ask

    def playlist(self, name: str, *, skip: bool) -> bytes:
        """`live.m3u8`, `audio.m3u8` or `dvr.m3u8`: written once a change, however many ask."""
        if self._written_for != self.window.version:
            self._written.clear()
            self._written_for = self.window.version
        key = (name, skip)
        if key not in self._written:
            audio = name == "audio.m3u8"
            others = [] if name == "dvr.m3u8" else ["live.m3u8" if audio else "audio.m3u8"]
            if not any(init.audio for init in self.inits.values()) or not any(i.width for i in self.inits.values()):
                others = []
            self._written[key] = live_playlist(
                self.window,
                self.names,
                self.began.epoch_ms,
                audio=audio,
                first=0 if name == "dvr.m3u8" else self._short_first(),
                skip=skip,
                others=others,
                plain=self.plain,
            ).encode()
        return self._written[key]

    def _short_first(self) -> int:
        """Where the short playlists begin."""
        segments, ticks = self.window.segments, 0
        for segment in reversed(segments):
            ticks += segment.duration
            if ticks >= SHORT_TICKS:
                return segment.msn
        return segments[0].msn if segments else 0

    @property
    def frame_rate(self) -> float:
        """Frames a second, of the newest whole segment; 0 where that is not known."""
        last = self.window.find(self.window.last_whole)
        if last is None or last.msn not in self.parts:
            return 0.0
        return cmaf.pictures_in(b"".join(self.parts[last.msn])) * HZ / last.duration

    @property
    def bandwidth(self) -> tuple[int, int]:
        """The most of a segment, and on average, in bits a second; of the last minute."""
        return (max(self._sizes), sum(self._sizes) // len(self._sizes)) if self._sizes else (0, 0)

    def readable(self, msn: int) -> bool:
        return msn in self.stored and self.stored[msn].size > 0

    def part(self, msn: int, index: int, *, audio: bool) -> bytes | None:
        """None: there is none, not yet or not any more."""
        parts = self.parts.get(msn, ())
        if index >= len(parts):
            return None
        if not audio:
            return parts[index]
        key = (msn, index)
        if key not in self._audio:
            self._audio[key] = cmaf.audio_of(parts[index])
        return self._audio[key]

    def segment(self, msn: int, *, audio: bool) -> bytes | None:
        """None where it is not in memory whole."""
        found = self.window.find(msn)
        if found is None or not found.duration or msn not in self.parts:
            return None
        parts = (self.part(msn, index, audio=audio) for index in range(len(self.parts[msn])))
        return b"".join(part for part in parts if part is not None)


def _rate(size: int, duration: int) -> int:
    """Bits a second."""
    return size * 8 * HZ // max(1, duration)


def segment_of(stored: Stored) -> Segment:
    gap = stored.size == 0
    return Segment(
        stored.msn, stored.start, stored.init, stored.discontinuity, stored.discontinuities, stored.duration, gap
    )


class Lives(Struct):
    """The streams of all media processes, by room. `gone` is told of each that is over. One whose media process is gone
    is over too, where nobody has said otherwise within `lost_seconds`.
    """

    dvr_seconds: int
    lost_seconds: float
    counters: Counters
    gone: Callable[[Live], None]
    rooms: dict[str, Live] = {}

    def end(self, live: Live, over: Over) -> None:
        """Said once; but that it may not be shown any more counts also later."""
        first = live.over is None
        if first or over.hidden:
            live.tell(over)
        if first:
            self.gone(live)


class Heard:
    """A `relay.feed.Hearer`, for one media process."""

    def __init__(self, lives: Lives):
        self._lives = lives
        self._streams: dict[int, Live] = {}
        self._lost: dict[Live, asyncio.TimerHandle] = {}

    def hears(self, stream: int, told: Told) -> None:
        if isinstance(told, Began):
            self._streams[stream] = self._begin(told)
            return
        live = self._streams[stream]
        if isinstance(told, Over):
            del self._streams[stream]
            self._lives.end(live, told)
        elif live.over is None:  # a gateway may have said so first
            live.tell(told)

    def loses(self) -> None:
        loop = asyncio.get_running_loop()
        for live in self._streams.values():
            live.interrupt()
            self._lost[live] = loop.call_later(self._lives.lost_seconds, self._give_up, live)
        self._streams.clear()

    def _give_up(self, live: Live) -> None:
        del self._lost[live]
        self._lives.end(live, Over("gone"))

    def _begin(self, began: Began) -> Live:
        lives = self._lives
        live = lives.rooms.get(began.room)
        if live is not None and live.began.secret == began.secret:
            if (lost := self._lost.pop(live, None)) is not None:
                lost.cancel()
            return live
        if live is not None:
            lives.end(live, Over("replaced"))
        live = lives.rooms[began.room] = Live(began, lives.dvr_seconds, lives.counters)
        return live
