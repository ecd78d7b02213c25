"""From a publisher's clock to the stream's: one clock over reconnects, on which nothing ever goes back."""

from msgspec import Struct

from relay.units import HZ, Kind

JUMP_AHEAD = 10 * HZ
"""A track that leaps so far beyond the time that has passed has a broken clock, or a new one."""
JUMP_BACK = HZ // 2
"""One that falls back so far, too; less is disorder."""
PACE = 1.01
"""Ticks of a publisher's clock to one of ours, at most, beyond JUMP_AHEAD: clocks drift, by far less."""
ALIKE = HZ
"""How near, after a jump, the place by the other track's clock has to be to the place by the time that has passed."""
LONGEST_REORDER = 5 * HZ
"""Of `pts` beyond `dts`."""
APART = 4 * HZ
"""How far sound and picture may be apart. Less than `relay.cutter.MISSING`: sound that is left out is then missing."""


class Place(Struct, frozen=True, gc=False):
    """On the stream's clock, in ticks of HZ since it began."""

    pts: int
    dts: int


class _Track:
    """`offset` is added to the publisher's clock, None before its first unit. `last` and `at`: the latest unit's `dts`
    on the stream's clock, and when it arrived.
    """

    __slots__ = ("at", "last", "offset")

    def __init__(self) -> None:
        self.offset: int | None = None
        self.last = -1
        self.at = 0


class StreamClock:
    """Times are in ticks of HZ; `now` is any clock that never goes back. The first unit is at 0.

    A new publisher's first unit comes after the last one by the time that has passed; its other track keeps its
    distance to that. The same holds where a clock jumps in mid-stream, or runs far ahead of the time that has passed
    since its first unit.
    """

    def __init__(self) -> None:
        self.mended = 0
        """Jumps of a publisher's clock."""
        self.dropped = 0
        """Units that would have gone back."""
        self.apart = 0
        """Units of sound too far from the picture."""
        self._behind = 0
        """How far the latest sound is behind it, or ahead (negative), where that is too far."""
        self._tracks: dict[Kind, _Track] = {"video": _Track(), "audio": _Track()}
        self._last, self._at = 0, -1
        self._latest: int | None = None
        """The offset that was found last."""
        self._began: tuple[int, int] | None = None
        """Where the publisher's first unit was placed, and when."""

    def new_publisher(self) -> None:
        """What comes now is on another clock."""
        self._latest = self._began = None
        self._behind = 0
        for track in self._tracks.values():
            track.offset = None

    def place(self, kind: Kind, pts: int, dts: int, now: int) -> Place | None:
        """None: this unit has no place, as it would be before an earlier one of its track, or before the stream, or is
        sound so far from the picture that no output can have them wait for each other.
        """
        track = self._tracks[kind]
        if track.offset is None:
            # Its other track may come late: a line that stalls between the two is no distance between them.
            track.offset = self._anchor(dts, self._expected(now), JUMP_AHEAD)
            self._began = self._began or (dts + track.offset, now)
        placed = dts + track.offset
        if track.last >= 0 and self._jumps(track, placed, now):
            self.mended += 1
            if track.offset == self._latest:
                self._latest = None  # it is what does not hold any more
            track.offset = self._anchor(dts, track.last + max(1, now - track.at), ALIKE)
            placed = dts + track.offset
        if placed <= track.last:
            if kind == "audio":
                self.dropped += 1
                return None
            placed = track.last + 1  # a picture that is left out would spoil those after it
        if placed < 0:
            self.dropped += 1
            return None
        track.last, track.at = placed, now
        if placed >= self._last:
            self._last, self._at = placed, now
        if kind == "audio" and self._is_apart(placed, now):
            self.apart += 1
            return None
        reorder = pts - dts
        return Place(max(placed, pts + track.offset) if reorder <= LONGEST_REORDER else placed, placed)

    @property
    def advice(self) -> str:
        """For the creator; empty where the sound is in time."""
        if not self._behind:
            return ""
        seconds, where = abs(self._behind) / HZ, "behind" if self._behind > 0 else "ahead of"
        return (
            f"The sound is {seconds:.0f} s {where} the picture, and left out: set the encoder's audio delay to 0, or"
            " restart it."
        )

    def _is_apart(self, placed: int, now: int) -> bool:
        video = self._tracks["video"]
        behind, since = video.last - placed, now - video.at
        if video.last >= 0 and (behind > APART or (since < APART and behind + since < -APART)):
            self._behind = behind
        else:
            self._behind = 0
        return self._behind != 0

    def _expected(self, now: int) -> int:
        """Where a unit of a new clock belongs: as long after the last one as it came after that."""
        return self._last + max(1, now - self._at) if self._at >= 0 else 0

    def _anchor(self, dts: int, expected: int, alike: int) -> int:
        if self._latest is None or abs(dts + self._latest - expected) > alike:
            self._latest = expected - dts
        return self._latest

    def _jumps(self, track: _Track, placed: int, now: int) -> bool:
        """Also where many leaps, each of them small enough, have come too far."""
        ahead = placed - track.last
        if ahead < -JUMP_BACK or ahead > JUMP_AHEAD + now - track.at:
            return True
        since, at = self._began or (placed, now)
        return placed - since > JUMP_AHEAD + (now - at) * PACE
