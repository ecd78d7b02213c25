"""Latencies as they are counted while they come in by the million: in plain dictionaries, made histograms each second.

Every one counts from the moment its message was scheduled for, not from when the load generator got round to sending
it ("coordinated omission": Gil Tene, How NOT to Measure Latency).
"""

from collections import Counter
from collections.abc import Sequence

from loadtest import histograms

CLOCK_SHIFT = 16
"""Deliveries are timed in units of 2^16 ns, 66 µs, so that those of one fan-out can be counted together."""
_UNIT = (1 << CLOCK_SHIFT) / 1_000
"""In microseconds."""


class Latencies:
    """Times since the last `pack`, in microseconds."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, nanoseconds: int) -> None:
        microseconds = nanoseconds // 1_000
        self._counts[microseconds] = self._counts.get(microseconds, 0) + 1

    def pack(self) -> str | None:
        """As a packed histogram; None where there are none."""
        counts, self._counts = self._counts, {}
        return packed(counts)


class Deliveries:
    """What all connections of this process have received since the last `take`."""

    def __init__(self) -> None:
        self.timing = False
        """Whether latencies are counted: not while warming up."""
        self._events = 0
        self._skipped = 0
        self._delays: Counter[int] = Counter()

    def add(self, events: int, skipped: int, dues: Sequence[int], now: int, connections: int) -> None:
        """So many connections have received so much at `now`; `dues` are the messages' scheduled moments, in units of
        2^16 ns like `now`; 0: not to be timed.
        """
        self._events += events * connections
        self._skipped += skipped * connections
        if now and self.timing:
            delays, timed = self._delays, filter(None, dues)
            if connections == 1:
                delays.update(map(now.__sub__, timed))  # in C: where nobody received just the same at the same time
            else:
                for due in timed:
                    delays[now - due] += connections

    def take(self) -> tuple[int, int, str | None]:
        """Events, skipped positions, and the packed histogram of delays."""
        events, skipped, delays = self._events, self._skipped, self._delays
        self._events, self._skipped, self._delays = 0, 0, Counter()
        return events, skipped, packed({round(delay * _UNIT): count for delay, count in delays.items()})


def packed(counts: dict[int, int]) -> str | None:
    """A histogram of microseconds → how often; what is below one, or beyond an hour, counts as that."""
    if not counts:
        return None
    histogram = histograms.empty()
    for microseconds, count in counts.items():
        histogram.record_value(min(max(microseconds, 1), histograms.LONGEST), count)
    return histograms.pack(histogram)
