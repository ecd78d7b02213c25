"""A run in a few figures."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from loadtest import histograms
from loadtest.results import Run, Second

PERCENTS = (50.0, 90.0, 99.0, 99.9, 100.0)


class Latency(Struct, frozen=True):
    """Milliseconds."""

    name: str
    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float


class Said(Struct, frozen=True):
    """Something that the server tells of itself: what stands, or a counter's growth in a second."""

    name: str
    mean: float
    most: float


class Server(Struct, frozen=True):
    """What was seen of the server; None where it could not be seen."""

    cpu: float | None
    """Mean share of a core."""
    cpu_most: float | None
    load_cpu: float | None
    """Mean share of a core that the load generator itself took."""
    cpu_per_delivery: float | None
    """Microseconds of processor time for each event that a connection received; None where none did."""
    rss_most: float | None
    """Bytes resident."""
    said: list[Said]


class Summary(Struct, frozen=True):
    """Rates are means from the first to the last second in which anything was sent, or received where nothing was;
    `most` is that of the best second.
    """

    seconds: int
    connections: int
    """The most that were open."""
    sent: int
    delivered: int
    acknowledged_rate: float
    delivered_rate: float
    delivered_most: int
    latencies: list[Latency]
    server: Server

    @classmethod
    def of(cls, run: Run) -> "Summary":
        seconds, busy = run.seconds, _busy(run.seconds)
        took = max(len(busy), 1)
        return cls(
            seconds=len(seconds),
            connections=max((second.connections for second in seconds), default=0),
            sent=sum(second.sent for second in seconds),
            delivered=sum(second.delivered for second in seconds),
            acknowledged_rate=sum(second.acknowledged for second in busy) / took,
            delivered_rate=sum(second.delivered for second in busy) / took,
            delivered_most=max((second.delivered for second in seconds), default=0),
            latencies=_latencies(seconds),
            server=_server(seconds, busy),
        )


def _latencies(seconds: Sequence[Second]) -> list[Latency]:
    packed: dict[str, list[str]] = defaultdict(list)
    for second in seconds:
        for name, text in second.latencies.items():
            packed[name].append(text)
    totals = {name: histograms.total(texts) for name, texts in packed.items()}
    return [
        Latency(name, totals[name].total_count, *histograms.milliseconds(totals[name], PERCENTS))
        for name in histograms.delivery_first(totals)
        if totals[name].total_count
    ]


def _busy(seconds: Sequence[Second]) -> Sequence[Second]:
    at = [i for i, second in enumerate(seconds) if second.sent]
    at = at or [i for i, second in enumerate(seconds) if second.delivered]
    return seconds[at[0] : at[-1] + 1] if at else []


def _server(seconds: Sequence[Second], busy: Sequence[Second]) -> Server:
    seen: dict[str, list[float]] = defaultdict(list)
    for second in seconds:
        for name, value in second.server.items():
            seen[name].append(value)
    cpu, load_cpu, rss = seen.pop("cpu", []), seen.pop("own_cpu", []), seen.pop("rss_bytes", [])
    priced = [second for second in busy if "cpu" in second.server]
    delivered = sum(second.delivered for second in priced)
    return Server(
        cpu=fmean(cpu) if cpu else None,
        cpu_most=max(cpu, default=None),
        load_cpu=fmean(load_cpu) if load_cpu else None,
        cpu_per_delivery=sum(second.server["cpu"] for second in priced) / delivered * 1e6 if delivered else None,
        rss_most=max(rss, default=None),
        said=[
            Said(name, fmean(values), max(values))
            for name, values in sorted(seen.items())
            if not name.startswith("queue.") and any(values)
        ],
    )
