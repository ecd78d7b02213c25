"""How much a publisher may send."""


class RateLimit:
    """A bucket that holds `seconds` of the rate: more than the rate, averaged over that time, is too much.

    `total` is in bytes since any moment, `now` in seconds.
    """

    def __init__(self, kbit: int, total: int, now: float, seconds: float = 5.0):
        self._rate = kbit * 125
        self._most = self._left = self._rate * seconds
        self._total, self._at = total, now

    def allows(self, total: int, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - (total - self._total)
        self._total, self._at = total, now
        return self._left >= 0
