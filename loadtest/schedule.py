"""When what is sent, fixed before the load begins."""

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

SECOND = 1_000_000_000
PERIOD = 10.0
BURST_SECONDS = 2.0
"""Of every period a burst lasts so long."""


class Schedule(Struct, frozen=True, kw_only=True):
    """The moments of `count` sends from `start` on, in nanoseconds of time.monotonic_ns. Every PERIOD a burst lasts
    for BURST_SECONDS, at `burst` times the average rate; at 1 all are equally far apart.
    """

    start: int
    rate: float
    """A second, on average."""
    count: int
    burst: float = 1.0

    def due(self, i: int) -> int:
        """When the send number `i` is due, counted from 0."""
        in_period = self.rate * PERIOD
        in_burst = min(self.rate * self.burst * BURST_SECONDS, in_period)
        periods, k = divmod(i, in_period)
        if k < in_burst:
            within = k / (self.rate * self.burst)
        else:
            within = BURST_SECONDS + (k - in_burst) * (PERIOD - BURST_SECONDS) / (in_period - in_burst)
        return self.start + int((periods * PERIOD + within) * SECOND)

    @property
    def end(self) -> int:
        """When the last one is due."""
        return self.due(max(self.count - 1, 0))


def zipf(count: int, exponent: float = 1.0) -> list[float]:
    """Cumulative weights by which the first is chosen most often, the k-th 1/k^exponent times as often (Zipf's law)."""
    return list(accumulate(1 / k**exponent for k in range(1, count + 1)))


def turns(count: int, senders: int, weights: Sequence[float] | None, seed: int) -> Iterator[int]:
    """Which sender each send falls to: in turn, or by cumulative weights; the same in every process."""
    if weights is None:
        yield from (i % senders for i in range(count))
    else:
        yield from random.Random(seed).choices(range(senders), cum_weights=weights, k=count)  # noqa: S311 - repeatable on purpose


def share(total: int, parts: int, index: int) -> range:
    """Which of `total` things belong to one of several processes: as many each as can be."""
    return range(total * index // parts, total * (index + 1) // parts)
