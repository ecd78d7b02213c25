"""Whether every listener of a room got all of it: checked to the byte, at the price of a `memcmp`.

All who listen to a room in one codec are sent the same frames of logged events. The first to receive a frame adds it
to the room's stream, where it is parsed and its position checked; for all others it must be the same bytes.
What is a connection's own (replies, pings, presence) stands between those frames and is handed on.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.wire import TEXT, frame_at


class Seen(Struct):
    """What is looked at in an object from the server."""

    type: str
    id: int | None = None
    pos: int | None = None
    room: Any = None
    code: str | None = None
    message: Any = None
    first: int | None = msgspec.field(default=None, name="from")
    to: int | None = None


_decode = msgspec.json.Decoder(Seen).decode
_UNLOGGED = frozenset({"ok", "error", "mention", "pending.resolved", "room.reset"})
"""Types that may name a `pos` without being the event at it."""


class Wrong(Exception):
    """The server broke its promise: a hole, a double, or other bytes for one than for another."""


class RoomStream:
    """The frames of one room's logged events after `pos`, as far as any connection has received them.

    `heard` is given each event once.
    """

    def __init__(self, room: str, pos: int, heard: Callable[[Seen], None]):
        self.room = room
        self.pos = pos
        self.data = bytearray()
        self._starts = [0]
        self._heard = heard

    @property
    def events(self) -> int:
        return len(self._starts) - 1

    def frame_start(self, offset: int) -> int:
        """Where the frame begins that `offset` lies in."""
        return self._starts[bisect_right(self._starts, offset) - 1]

    def holds(self, seen: Seen) -> bool:
        """Whether an object belongs into the stream: a logged event of the room, or the skip in its place."""
        placed = seen.type == "room.skip" or (seen.pos is not None and seen.type not in _UNLOGGED)
        return placed and bool(seen.room == self.room)

    def append(self, frame: bytes, seen: Seen) -> None:
        """Raises Wrong, unless the frame's position follows the last one."""
        first, last = (seen.first, seen.to) if seen.type == "room.skip" else (seen.pos, seen.pos)
        if first != self.pos + 1 or last is None:
            raise Wrong(f"{seen.type} at {first} follows position {self.pos}")
        self.pos = last
        self.data += frame
        self._starts.append(len(self.data))
        self._heard(seen)


class Follower:
    """One connection's place in a room's stream: it has received `offset` bytes of it."""

    __slots__ = ("_rest", "offset", "stream")

    def __init__(self, stream: RoomStream):
        self.stream = stream
        self.offset = 0
        self._rest = b""

    @property
    def behind(self) -> int:
        """Bytes that others have received and this connection has not."""
        return len(self.stream.data) - self.offset

    def feed(self, data: bytes, private: Callable[[int, bytes], None]) -> None:
        """Takes what came. `private` is given the opcode and payload of each frame that is not of the stream.

        Raises Wrong.
        """
        if not self._rest and self.stream.data.startswith(data, self.offset):
            self.offset += len(data)
        else:
            self._walk(data, private)

    def _walk(self, data: bytes, private: Callable[[int, bytes], None]) -> None:
        """Frame by frame. The bytes since the last frame's start may after all have begun a frame of another kind."""
        stream = self.stream
        start = stream.frame_start(self.offset)
        data = self._rest + stream.data[start : self.offset] + data
        self.offset = start
        at = 0
        while (found := frame_at(data, at)) is not None:
            opcode, payload, end = found
            frame = data[at:end]
            at = end
            if stream.data.startswith(frame, self.offset):
                self.offset += len(frame)
                continue
            seen = _decode(frame[payload - end :]) if opcode == TEXT else None
            if seen is None or not stream.holds(seen):
                private(opcode, bytes(frame[payload - end :]))
            elif self.behind:
                raise Wrong(f"{seen.type} at {seen.pos} is not what others received there")
            else:
                stream.append(frame, seen)
                self.offset += len(frame)
        self._rest = data[at:]
