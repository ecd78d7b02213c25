"""How much a publisher may send."""

BYTES_OF_KBIT = 125


class RateLimit:
    """A bucket that holds `seconds` of the rate: more than the rate, averaged over that time, is too much.

    `rate` is so many a second, of whatever `total` counts since any moment; `now` in seconds.
    """

    def __init__(self, rate: int, total: int, now: float, seconds: float = 5.0):
        self._rate = rate
        self._most = self._left = self._rate * seconds
        self._total, self._at = total, now

    def allows(self, total: int, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - (total - self._total)
        self._total, self._at = total, now
        return self._left >= 0
