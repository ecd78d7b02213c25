"""Which packets to ask for again, and when (RFC 4585, section 6.2.1)."""

REORDER = 0.01
"""Seconds in which a packet may still come by itself."""

_TRIES = 10
_LEAST_INTERVAL = 0.02
_FIRST_ROUND_TRIP = 0.1
_SMOOTHING = 0.125


class Missing:
    """The packets of one source that have not come. Of more than `most` at once none is asked for: that many are only
    made good by a keyframe.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._highest: int | None = None
        self._asked: dict[int, tuple[float, float, int]] = {}
        """Index → when to ask next, when it was last asked for, how often it was."""
        self.round_trip: float | None = None
        """Seconds from asking for a packet until it comes, smoothed; None until one has come."""
        self.asked = 0

    def __bool__(self) -> bool:
        return bool(self._asked)

    def came(self, index: int, now: float) -> bool:
        """A packet has come. Returns False where too many are missing before it."""
        highest = self._highest
        if highest is None or not -self._most <= index - highest <= self._most:
            self._highest = index
            self._asked.clear()
            return highest is None
        if index <= highest:
            self._found(index, now)
            return True
        for missing in range(highest + 1, index):
            self._asked[missing] = (now + REORDER, now, 0)
        self._highest = index
        if len(self._asked) > self._most:
            self._asked.clear()
            return False
        return True

    def forget(self, below: int) -> None:
        """Packets under this index are not waited for any more."""
        for index in [index for index in self._asked if index < below]:
            del self._asked[index]

    def due(self, now: float) -> list[int]:
        """Those to ask for now, in order; each again after a round trip, at most ten times."""
        again = max(_LEAST_INTERVAL, self.round_trip if self.round_trip is not None else _FIRST_ROUND_TRIP)
        due = [index for index, (at, _, _) in self._asked.items() if at <= now]
        for index in due:
            _, _, tries = self._asked[index]
            if tries + 1 >= _TRIES:
                del self._asked[index]
            else:
                self._asked[index] = (now + again, now, tries + 1)
        self.asked += len(due)
        return sorted(due)

    def _found(self, index: int, now: float) -> None:
        if (asked := self._asked.pop(index, None)) is None:
            return
        _, last, tries = asked
        if tries == 1:
            measured = now - last
            old = self.round_trip
            self.round_trip = measured if old is None else old + _SMOOTHING * (measured - old)
