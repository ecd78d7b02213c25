"""What a live playlist is written from: the segments that clients can have, and the parts of the newest."""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from relay.parts_values import LONGEST_SEGMENT, Part, SegmentEnded
from relay.units import HZ

TARGET_SECONDS = LONGEST_SEGMENT // HZ
PART_TARGET = 0.334
HOLD_BACK = 3 * TARGET_SECONDS
PART_HOLD_BACK = 1.002
"""Three times the targets (4.4.3.8)."""
SKIP_UNTIL = 6 * TARGET_SECONDS
"""Older segments are what a delta update leaves out; no less may be said (4.4.3.8)."""
PARTS_FOR = 3 * TARGET_SECONDS
"""Seconds from the end within which parts are listed (6.2.2)."""


class PartLine(Struct, frozen=True, gc=False):
    """A part, by its index in its segment. `duration` in ticks."""

    duration: int
    independent: bool


class Segment(Struct, gc=False):
    """`duration` is 0 until it is whole. `discontinuities` as of `Part`. `gap`: nobody can have it any more."""

    msn: int
    start: int
    init: int
    discontinuity: bool
    discontinuities: int
    duration: int = 0
    gap: bool = False
    parts: tuple[PartLine, ...] = ()


class Window:
    """Segments without a hole between their numbers, the last perhaps not whole yet."""

    def __init__(self, seconds: float):
        """`seconds`: how long a segment is kept; the newest three targets' worth always (6.2.2)."""
        self.segments: deque[Segment] = deque()
        self.ended = False
        self.version = 0
        """Grows with every change."""
        self._keep = int(max(seconds, HOLD_BACK) * HZ)
        self._whole = 0

    @property
    def last_whole(self) -> int:
        """The newest whole segment's number, -1 where there is none."""
        if not self.segments:
            return -1
        last = self.segments[-1]
        return last.msn if last.duration else last.msn - 1

    @property
    def position(self) -> tuple[int, int]:
        """Number and index of what comes next."""
        if not self.segments:
            return 0, 0
        last = self.segments[-1]
        return (last.msn + 1, 0) if last.duration else (last.msn, len(last.parts))

    def find(self, msn: int) -> Segment | None:
        at = msn - self.segments[0].msn if self.segments else -1
        return self.segments[at] if 0 <= at < len(self.segments) else None

    def since(self, first: int) -> Iterable[Segment]:
        """Those from this number on."""
        return islice(self.segments, max(0, first - self.segments[0].msn), None) if self.segments else ()

    def past(self, segments: Iterable[Segment]) -> None:
        """Whole ones from before what this window has seen. To be called first."""
        for segment in segments:
            if not self.segments or segment.msn == self.segments[-1].msn + 1:
                self.segments.append(segment)
                self._whole += segment.duration
        self._trim()

    def part(self, part: Part) -> bool:
        """Whether it is new."""
        if (part.msn, part.index) < self.position or (self.segments and self.segments[-1].msn > part.msn):
            return False
        if not self.segments or self.segments[-1].msn != part.msn:
            self._settle(part.msn, part.start)
            self.segments.append(Segment(part.msn, part.start, part.init, part.discontinuity, part.discontinuities))
        self.segments[-1].parts += (PartLine(part.duration, part.independent),)
        self.version += 1
        return True

    def end(self, ended: SegmentEnded) -> bool:
        """Whether it is new."""
        last = self.segments[-1] if self.segments else None
        if last is None or last.msn != ended.msn or last.duration:
            return False
        self._close(last, ended.duration)
        self._trim()
        return True

    def lose(self, msn: int) -> None:
        """The segment can be had no more."""
        if (segment := self.find(msn)) is not None and not segment.gap:
            segment.gap = True
            self.version += 1

    def finish(self) -> None:
        """No segment comes any more."""
        self.ended = True
        self.version += 1

    def _settle(self, msn: int, start: int) -> None:
        """Where the feed has a hole: the segment before is not whole, or segments are missing."""
        if not self.segments:
            return
        last = self.segments[-1]
        if not last.duration:
            self._close(last, sum(part.duration for part in last.parts))
        while self.segments[-1].msn + 1 < msn:
            before = self.segments[-1]
            lost = Segment(
                before.msn + 1, before.start + before.duration, before.init, False, before.discontinuities, gap=True
            )
            self.segments.append(lost)
            self._close(lost, max(1, min(LONGEST_SEGMENT, start - lost.start)))

    def _close(self, segment: Segment, duration: int) -> None:
        segment.duration = duration
        self._whole += duration
        self.version += 1

    def _trim(self) -> None:
        while len(self.segments) > 1 and self._whole - self.segments[0].duration >= self._keep:
            gone = self.segments.popleft()
            self._whole -= gone.duration
