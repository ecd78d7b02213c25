"""What one connection receives, told apart into its rooms' streams and what is its own, at the price of a `memcmp`."""

import time
from collections.abc import Callable

from loadtest.codec import Codec, Seen
from loadtest.latency import CLOCK_SHIFT
from loadtest.stream import RoomStream
from loadtest.wire import frame_at

Private = Callable[[int, bytes, Seen | None], None]
"""Given the opcode and payload of a frame that is of no room's stream; decoded, where it holds an object."""

TRIED = 8
"""Rooms of a connection that are compared before a frame is decoded to see whose it is."""
MISSED = 1_000
"""Missing positions that a place remembers, to tell a hole from disorder."""


class Place:
    """How far one connection is in one room."""

    __slots__ = ("_aged", "_missing", "offset", "pos", "stream", "who")

    def __init__(self, stream: RoomStream, pos: int, who: str):
        self.stream = stream
        self.who = who
        self.offset = stream.offset_after(pos)
        """Bytes of the stream received; -1 while `pos` lies at no frame's end, or beyond what others have received."""
        self.pos = pos
        """Valid where there is no offset."""
        self._missing: set[int] = set()
        self._aged = False

    @property
    def reached(self) -> int:
        """The last position received."""
        return self.stream.pos_at(self.offset) if self.offset >= 0 else self.pos

    def take(self, frame: bytes, seen: Seen, now: int) -> None:
        """One event or skip, whatever the others received."""
        stream, pos = self.stream, self.reached
        first, last = stream.bounds(seen)
        if first <= pos:
            self._again(frame, seen, first)
            return
        if first > pos + 1:
            self._missing.update(range(pos + 1, min(first, pos + 1 + MISSED)))
        before = self.offset
        stream.meet(frame, seen)
        self.pos = last
        self.offset = stream.offset_after(last)
        if before >= 0 and self.offset == before + len(frame):
            stream.advanced(before, self.offset, now)
        else:
            stream.took(seen, now)

    def _again(self, frame: bytes, seen: Seen, first: int) -> None:
        room = self.stream.room
        if self._missing and first in self._missing:
            self._missing.discard(first)
            self.stream.report("order", f"room {room}: {self.who} received {first} after {self.reached}")
            self.stream.meet(frame, seen)
        else:
            self.stream.report("double", f"room {room}: {self.who} received {first} after {self.reached}")

    def own_up(self, at_once: bool) -> None:
        """Reports what is missing and was so at the last call too, or now."""
        if not self._missing:
            return
        if not self._aged and not at_once:
            self._aged = True
            return
        first = last = min(self._missing)
        for pos in (*sorted(self._missing)[1:], 0):
            if pos != last + 1:
                where = f"position {first}" if first == last else f"positions {first} to {last}"
                self.stream.report("hole", f"room {self.stream.room}: {self.who} did not receive {where}")
                first = pos
            last = pos
        self._missing = set()
        self._aged = False

    def interrupted(self) -> None:
        """The connection has ended: an event that came half will come whole."""
        if self.offset >= 0:
            self.offset = self.stream.frame_start(self.offset)

    def recover(self, events: bytes, pos: int) -> None:
        """What was missed, up to `pos`, has come as one array."""
        stream, before = self.stream, self.reached
        if self.offset >= 0 and pos <= stream.pos and stream.array(before, pos) == events:
            start, self.offset = self.offset, stream.offset_after(pos)
            stream.advanced(start, self.offset, 0)
            return
        for event in stream.codec.split(events):
            payload = bytes(event)
            self.take(stream.frame_of(payload), stream.codec.decode(payload), 0)
        if self.reached != pos:
            stream.report("hole", f"room {stream.room}: {self.who} recovered to {self.reached}, not to {pos}")


class Feed:
    """A connection's places, and the bytes that do not make a frame yet."""

    __slots__ = ("_codec", "_place", "_rest", "places")

    def __init__(self, codec: Codec) -> None:
        self.places: dict[str, Place] = {}
        self._codec = codec
        self._place: Place | None = None
        self._rest = b""

    def take(self, data: bytes, private: Private) -> None:
        """What came from the socket. The bytes of the room that spoke last are tried first."""
        place = self._place
        if place is not None and not self._rest:
            offset = place.offset
            if offset >= 0 and place.stream.data.startswith(data, offset):
                end = place.offset = offset + len(data)
                place.stream.advanced(offset, end, time.monotonic_ns() >> CLOCK_SHIFT)
                return
        self._walk(data, private)

    def interrupted(self) -> None:
        """The connection has ended: a frame that came half is lost."""
        self._place, self._rest = None, b""
        for place in self.places.values():
            place.interrupted()

    def _walk(self, data: bytes, private: Private) -> None:
        """Frame by frame. The bytes since the last frame's start may after all have begun a frame of another kind."""
        place = self._place
        if place is not None and place.offset >= 0:
            start = place.stream.frame_start(place.offset)
            data = b"".join((place.stream.data[start : place.offset], self._rest, data))
            place.offset = start
        else:
            data = self._rest + data
        now = time.monotonic_ns() >> CLOCK_SHIFT
        at, bulk = 0, True
        while at < len(data):
            if bulk and (known := self._known(data, at, now)):
                at += known
                continue
            if (found := frame_at(data, at)) is None:
                break
            opcode, payload, end = found
            frame = data[at:end]
            bulk = not self._matches(frame, now)
            if bulk:
                self._decode(opcode, frame, data[payload:end], private, now)
            at = end
        self._rest = data[at:]

    def _known(self, data: bytes, at: int, now: int) -> int:
        """How many of the next bytes are just what others have received in the room that spoke last, if all are that
        there are to compare; else 0.
        """
        place = self._place
        if place is None or (offset := place.offset) < 0:
            return 0
        stream = place.stream
        size = min(len(stream.data) - offset, len(data) - at)
        if size <= 0 or not stream.data.startswith(memoryview(data)[at : at + size], offset):
            return 0
        place.offset = offset + size
        stream.advanced(offset, place.offset, now)
        return size

    def _matches(self, frame: bytes, now: int) -> bool:
        """Whether it is just what comes next in one of the rooms."""
        if self._place is not None and self._follows(self._place, frame, now):
            return True
        return len(self.places) <= TRIED and any(self._follows(place, frame, now) for place in self.places.values())

    def _follows(self, place: Place, frame: bytes, now: int) -> bool:
        offset = place.offset
        if offset < 0 or not place.stream.data.startswith(frame, offset):
            return False
        place.offset = offset + len(frame)
        place.stream.advanced(offset, place.offset, now)
        self._place = place
        return True

    def _decode(self, opcode: int, frame: bytes, payload: bytes, private: Private, now: int) -> None:
        if opcode != self._codec.opcode:
            private(opcode, payload, None)
            return
        seen = self._codec.decode(payload)
        place = self.places.get(seen.room) if isinstance(seen.room, str) else None
        if place is not None and place.stream.holds(seen):
            place.take(frame, seen, now)
            self._place = place
        else:
            private(opcode, payload, seen)
