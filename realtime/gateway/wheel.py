"""One timing wheel for a process: deadlines of a hundred thousand connections without a timer object for each."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog

from realtime.gateway.error_log import describe

log = structlog.get_logger("realtime.gateway.wheel")


class Timed(Protocol):
    """What can stand in the wheel: at most once, so that the entry itself is all that a deadline costs."""

    due: int
    """The wheel's mark: the tick that the entry waits for, 0 for none. Set it to 0 once, then leave it alone."""

    def expired(self) -> None:
        """The deadline has passed; the entry has left the wheel and may be set again."""


class Wheel:
    """Entries in buckets by the tick at which they are due. Setting, moving and cancelling are O(1).

    A dict of buckets in place of a ring (Varghese and Lauck, 1987): an hour's token needs no second level, and a
    tick at which nothing is due costs one look-up.
    """

    def __init__(self, tick: float = 0.25, clock: Callable[[], float] = time.monotonic) -> None:
        """`tick` is the granularity in seconds; `clock` gives seconds and never goes back."""
        self.tick = tick
        self.clock = clock
        self._buckets: dict[int, set[Timed]] = {}
        self._reached = math.floor(clock() / tick)

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def set(self, entry: Timed, at: float) -> None:
        """Expire `entry` at the clock's `at`, at most two ticks late and never early. Replaces its earlier deadline."""
        if entry.due:
            self.cancel(entry)
        entry.due = due = max(math.ceil(at / self.tick), self._reached + 1)
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {entry}
        else:
            bucket.add(entry)

    def after(self, entry: Timed, seconds: float) -> None:
        self.set(entry, self.clock() + seconds)

    def cancel(self, entry: Timed) -> None:
        """Forget the entry's deadline, if it has one."""
        if entry.due:
            self._buckets[entry.due].discard(entry)
            entry.due = 0

    def advance(self, now: float) -> Iterator[Timed]:
        """Yield the entries due at `now`, tick by tick; what is cancelled or moved meanwhile is not among them."""
        before, self._reached = self._reached, max(self._reached, math.floor(now / self.tick))
        ticks = range(before + 1, self._reached + 1)
        for tick in ticks if len(ticks) < 1000 else sorted(tick for tick in self._buckets if tick <= self._reached):
            bucket = self._buckets.get(tick)
            if bucket is not None:
                while bucket:
                    entry = bucket.pop()
                    entry.due = 0
                    yield entry
                del self._buckets[tick]

    async def run(self) -> None:
        """Let entries expire in time, until cancelled. One that raises is logged and does not hold up the others."""
        while True:
            await asyncio.sleep(self.tick)
            # After a stall of the process the pongs that save a connection are in the kernel already: read them first.
            await asyncio.sleep(0)
            for entry in self.advance(self.clock()):
                try:
                    entry.expired()
                except Exception as error:
                    log.error("deadline_failed", **describe(error))  # noqa: TRY400 - tracebacks may quote messages
