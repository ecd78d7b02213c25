"""One room as this process has received it: the reference that every connection is compared with.

All who listen to a room in one codec are sent the same frames of logged events. The first connection to receive a
frame adds it here, parsed and its position checked; for all others it must be the same bytes, which costs a `memcmp`.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from loadtest.codec import Codec, Seen
from loadtest.latency import CLOCK_SHIFT, Deliveries
from loadtest.wire import frame_at, framed

Report = Callable[[str, str], None]
"""Told the kind of a broken promise, and what was seen."""

AHEAD = 10_000
"""Events that are kept for comparison until the stream has come so far; beyond, they are not compared."""
STUCK = 5
"""Calls of `RoomStream.resync`, one a second, after which a hole counts as nobody's."""
UNLOGGED = frozenset({"ok", "error", "mention", "pending.resolved", "room.reset", "room.removed"})
"""Types that may name a `pos` without being the event at it."""


class Frame(NamedTuple):
    """A logged event, or the skip of some, in the stream's bytes up to `end`."""

    end: int
    first: int
    last: int
    due: int
    """When it was to be sent, in units of 2^16 ns of time.monotonic_ns; 0: not to be timed."""
    skip: bool
    spared: bool
    """Whether a busy server may show it to some and skip it for others."""


class Account(Struct):
    """What a process has received of a room since it was last asked, to be held against the other processes' and
    against what was acknowledged.
    """

    pos: int
    events: int = 0
    skipped: int = 0
    messages: int = 0
    text_sum: int = 0
    """Of the messages' positions and texts, in any order."""
    digest: int = 0
    """Of the stream's bytes, in their order."""


def text_sum(pos: int, text: str) -> int:
    """A summand of `Account.text_sum`."""
    return zlib.crc32(f"{pos} {text}".encode())


class RoomStream:
    """The frames of one room's logged events, as far as any connection of this process has received them.

    Positions are the server's; offsets count the bytes kept in `data`.
    """

    def __init__(self, room: str, pos: int, codec: Codec, live: bool, report: Report, deliveries: Deliveries):
        """`live`: in a live room, comments may be shown to some and skipped for others."""
        self.room = room
        self.pos = pos
        self.data = bytearray()
        self.account = Account(pos)
        self.epoch = ""
        self.codec = codec
        self.report = report
        self._deliveries = deliveries
        self._advances: dict[tuple[int, int, int], int] = {}
        self._live = live
        self._start = pos
        self._frames: list[Frame] = []
        self._ends: list[int] = []
        self._lasts: list[int] = []
        self._dues: list[int] = []
        """Of the frames, once more: millions of times a second something is looked up by these."""
        self._skips = False
        """Whether any of them is one."""
        self._ahead: dict[int, tuple[bytes, Seen]] = {}
        self._arrays: dict[tuple[int, int], bytes] = {}
        self._stuck = (pos, 0)

    # Where is what

    def frame_start(self, offset: int) -> int:
        """Where the frame begins that `offset` lies in."""
        i = bisect_right(self._ends, offset)
        return self._ends[i - 1] if i else 0

    def pos_at(self, offset: int) -> int:
        """The position reached by who has received so many bytes."""
        i = bisect_right(self._ends, offset)
        return self._lasts[i - 1] if i else self._start

    def offset_after(self, pos: int) -> int:
        """Where the frame ends that ends with this position; -1 where none does."""
        if pos == self.pos:
            return len(self.data)
        if pos == self._start:
            return 0
        i = bisect_left(self._lasts, pos)
        return self._ends[i] if i < len(self._lasts) and self._lasts[i] == pos else -1

    def array(self, first: int, last: int) -> bytes | None:
        """The events after the position `first` up to `last` as the array that a recovery holds; None where the stream
        has no frames with just these bounds.
        """
        found = self._arrays.get((first, last))
        if found is None:
            start, end = self.offset_after(first), self.offset_after(last)
            if start < 0 or end < 0:
                return None
            payloads: list[bytes] = []
            while start < end:
                frame = frame_at(self.data, start)
                if frame is None:
                    raise AssertionError("a stream holds whole frames")
                payloads.append(bytes(self.data[frame[1] : frame[2]]))
                start = frame[2]
            found = self._arrays[first, last] = self.codec.array(payloads)
        return found

    # What comes in

    def holds(self, seen: Seen) -> bool:
        """Whether an object is a logged event of the room, or the skip in its place."""
        placed = seen.type == "room.skip" or (seen.pos is not None and seen.type not in UNLOGGED)
        return placed and bool(seen.room == self.room)

    def bounds(self, seen: Seen) -> tuple[int, int]:
        """The first and last position that an event or a skip stands for."""
        first, last = (seen.first, seen.to) if seen.type == "room.skip" else (seen.pos, seen.pos)
        return first or 0, last or 0

    def meet(self, frame: bytes, seen: Seen) -> None:
        """Adds what somebody has received, or compares it with what was received before."""
        first, last = self.bounds(seen)
        if first == self.pos + 1:
            self._append(frame, seen)
        elif first > self.pos:
            kept = self._ahead.get(first)
            if kept is not None:
                self._compare(kept[0], frame, seen)
            elif len(self._ahead) < AHEAD:
                self._ahead[first] = (frame, seen)
        elif seen.type == "room.skip":
            self._may_skip(first, last)
        else:
            self._look_up(frame, seen, first)

    def _append(self, frame: bytes, seen: Seen) -> None:
        first, last = self.bounds(seen)
        self.pos = last
        self.data += frame
        skip = seen.type == "room.skip"
        account = self.account
        account.pos = last
        due = 0
        if skip:
            self._skips = True
            account.skipped += last - first + 1
        else:
            account.events += 1
            if seen.type == "message.created" and isinstance(seen.message, dict):
                text = seen.message["text"]
                due = due_in(text)
                account.messages += 1
                account.text_sum += text_sum(first, text)
        account.digest = zlib.crc32(frame, account.digest)
        self._add(Frame(len(self.data), first, last, due, skip, self._spared(seen)))
        if self._arrays:
            self._arrays.clear()
        if self._ahead and (kept := self._ahead.pop(first, None)):
            self._compare(kept[0], frame, seen)

    def _add(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._ends.append(frame.end)
        self._lasts.append(frame.last)
        self._dues.append(frame.due)

    def _spared(self, seen: Seen) -> bool:
        """Comments of live rooms, and who came and went in any large one (docs/protocol.md, "Objects")."""
        return seen.type in ("member.joined", "member.left") or (self._live and seen.type == "message.created")

    def _compare(self, kept: bytes, frame: bytes, seen: Seen) -> None:
        if kept != frame and not (self._live and b"room.skip" in kept[:64] + frame[:64]):
            self.report("bytes", f"room {self.room}: {seen.type} at {seen.pos} differs from what others received")

    def _look_up(self, frame: bytes, seen: Seen, pos: int) -> None:
        i = bisect_left(self._lasts, pos)
        if pos <= self._start or i == len(self._frames):
            return
        known = self._frames[i]
        start = self._frames[i - 1].end if i else 0
        if known.skip:
            if not self._spared(seen):
                self.report("bytes", f"room {self.room}: {seen.type} at {pos} was skipped for others")
        elif self.data[start : known.end] != frame:
            self.report("bytes", f"room {self.room}: {seen.type} at {pos} differs from what others received")

    def _may_skip(self, first: int, last: int) -> None:
        for i in range(bisect_left(self._lasts, first), len(self._frames)):
            known = self._frames[i]
            if known.first > last:
                return
            if not known.spared and not known.skip:
                text = f"room {self.room}: position {known.first} was skipped for one and not for others"
                self.report("hole", text)

    # Who has received it

    def advanced(self, start: int, end: int, now: int) -> None:
        """A connection that had received so many bytes has received more, now (0: in a recovery, not to be timed)."""
        key = (start, end, now)
        self._advances[key] = self._advances.get(key, 0) + 1

    def took(self, seen: Seen, now: int) -> None:
        """A connection has received this, at a place where the others did not."""
        if seen.type == "room.skip":
            first, last = self.bounds(seen)
            self._deliveries.add(0, last - first + 1, (), now, 1)
        else:
            timed = seen.type == "message.created" and isinstance(seen.message, dict)
            due = due_in(seen.message["text"]) if timed else 0
            self._deliveries.add(1, 0, (due,), now, 1)

    def count(self) -> None:
        """Adds to the deliveries what has been received whole since the last call."""
        if not self._advances:
            return
        advances, self._advances = self._advances, {}
        between: dict[tuple[int, int], tuple[int, int, list[int]]] = {}
        for (start, end, now), connections in advances.items():
            found = between.get((start, end))
            if found is None:
                found = between[start, end] = self._between(start, end)
            self._deliveries.add(*found, now, connections)

    def _between(self, start: int, end: int) -> tuple[int, int, list[int]]:
        """Events, skipped positions, and when the messages were due that end between two offsets."""
        first, last = bisect_right(self._ends, start), bisect_right(self._ends, end)
        skips = [frame for frame in self._frames[first:last] if frame.skip] if self._skips else []
        skipped = sum(frame.last - frame.first + 1 for frame in skips)
        return last - first - len(skips), skipped, self._dues[first:last]

    # Housekeeping

    def resync(self, at_once: bool) -> None:
        """Goes on behind a hole that nobody's frame has filled for `STUCK` calls, or now."""
        if not self._ahead:
            return
        pos, calls = self._stuck
        self._stuck = (self.pos, calls + 1 if pos == self.pos else 0)
        if self._stuck[1] < STUCK and not at_once:
            return
        for first in sorted(self._ahead):
            if first <= self.pos:
                del self._ahead[first]
                continue
            frame, seen = self._ahead.pop(first)
            if first > self.pos + 1:
                self._skips = True
                self._add(Frame(len(self.data), self.pos + 1, first - 1, 0, True, True))
                self.pos = first - 1
            self._append(frame, seen)

    def trim(self, pos: int) -> int:
        """Forgets what everybody has received, up to `pos`. Returns by how much all offsets shrink; `count` first."""
        i = bisect_right(self._lasts, pos)
        if not i:
            return 0
        cut, self._start = self._frames[i - 1].end, self._frames[i - 1].last
        del self.data[:cut]
        self._frames = [frame._replace(end=frame.end - cut) for frame in self._frames[i:]]
        self._ends = [frame.end for frame in self._frames]
        del self._lasts[:i], self._dues[:i]
        self._arrays.clear()
        return cut

    def settle(self) -> Account:
        """What was received since the last call."""
        account, self.account = self.account, Account(self.pos)
        return account

    def frame_of(self, payload: bytes) -> bytes:
        """The frame in which an event would have come."""
        return framed(payload, self.codec.opcode)


def due_in(text: str) -> int:
    """When a message of this load was to be sent (see `loadtest.texts.say`), in units of 2^16 ns; 0 for others."""
    stamp, _, _ = text.partition(" ")
    try:
        return int(stamp, 16) >> CLOCK_SHIFT
    except ValueError:
        return 0
