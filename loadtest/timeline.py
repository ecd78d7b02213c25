"""A run over time, in no more points than a plot can show."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from loadtest import histograms
from loadtest.results import Second

POINTS = 240


class Point(Struct, frozen=True):
    """Some seconds that follow one another."""

    at: float
    """Seconds since the run's start, of its middle."""
    connections: float
    """Rates are a second's; these five are means."""
    sent: float
    acknowledged: float
    delivered: float
    skipped: float
    latencies: dict[str, HdrHistogram]
    server: dict[str, float]
    """Queues' depths at their deepest, the rest as means."""


def timeline(seconds: Sequence[Second], points: int = POINTS) -> list[Point]:
    """At most so many points, each of as many seconds; empty where there are no seconds."""
    if not seconds:
        return []
    width = -(-(max(second.at for second in seconds) + 1) // points)
    grouped: dict[int, list[Second]] = defaultdict(list)
    for second in seconds:
        grouped[second.at // width].append(second)
    return [_point(grouped[index]) for index in sorted(grouped)]


def _point(seconds: Sequence[Second]) -> Point:
    def mean(of: Callable[[Second], float]) -> float:
        return sum(map(of, seconds)) / len(seconds)

    packed: dict[str, list[str]] = defaultdict(list)
    server: dict[str, list[float]] = defaultdict(list)
    for second in seconds:
        for name, text in second.latencies.items():
            packed[name].append(text)
        for name, value in second.server.items():
            server[name].append(value)
    return Point(
        at=mean(lambda second: second.at),
        connections=mean(lambda second: second.connections),
        sent=mean(lambda second: second.sent),
        acknowledged=mean(lambda second: second.acknowledged),
        delivered=mean(lambda second: second.delivered),
        skipped=mean(lambda second: second.skipped),
        latencies={name: histograms.total(texts) for name, texts in packed.items()},
        server={
            name: max(values) if name.startswith("queue.") else sum(values) / len(values)
            for name, values in server.items()
        },
    )
