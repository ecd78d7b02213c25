"""Time and chance, both injectable: the clock that the client sleeps by, and the delays between attempts."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in seconds. `sleep` returns once `time` has advanced by `seconds`."""

    def time(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's monotonic clock and the event loop's timers."""

    def time(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Backoff:
    """Exponential backoff with full jitter: the n-th delay is uniform in [0, min(cap, base * 2**n)) seconds.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, random: Callable[[], float], *, base: float, cap: float) -> None:
        self._random = random
        self._base = base
        self._cap = cap
        self._attempt = 0

    def next(self) -> float:
        # Bounded exponent: a client left alone for days must not overflow a float.
        ceiling = min(self._cap, self._base * 2.0 ** min(self._attempt, 32))
        self._attempt += 1
        return self._random() * ceiling

    def reset(self) -> None:
        self._attempt = 0
