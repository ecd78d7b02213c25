"""A run in a few figures."""

from collections import defaultdict
from collections.abc import Sequence

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


class Counter(Struct, frozen=True):
    """One of the server's counters: growth."""

    name: str
    total: float
    most: float
    """In one second."""


class Server(Struct, frozen=True):
    """What was seen of the server; None where it could not be seen."""

    cpu: float | None
    """Mean share of a core."""
    cpu_most: float | None
    cpu_per_delivery: float | None
    """Microseconds of processor time for each event that a connection received; None where none did."""
    rss_most: float | None
    """Bytes resident."""
    counters: list[Counter]


class Summary(Struct, frozen=True):
    """Rates are a second's, meant over the whole run; `most` in the best second."""

    seconds: int
    connections: int
    """The most that were open."""
    sent: int
    acknowledged: int
    delivered: int
    skipped: int
    sent_rate: float
    acknowledged_rate: float
    delivered_rate: float
    delivered_most: int
    latencies: list[Latency]
    server: Server

    @classmethod
    def of(cls, run: Run) -> "Summary":
        seconds = run.seconds
        count = len(seconds)
        sent, acknowledged, delivered, skipped = (
            sum(getattr(second, name) for second in seconds)
            for name in ("sent", "acknowledged", "delivered", "skipped")
        )
        return cls(
            seconds=count,
            connections=max((second.connections for second in seconds), default=0),
            sent=sent,
            acknowledged=acknowledged,
            delivered=delivered,
            skipped=skipped,
            sent_rate=sent / max(count, 1),
            acknowledged_rate=acknowledged / max(count, 1),
            delivered_rate=delivered / max(count, 1),
            delivered_most=max((second.delivered for second in seconds), default=0),
            latencies=_latencies(seconds),
            server=_server(seconds),
        )


def _latencies(seconds: Sequence[Second]) -> list[Latency]:
    packed: dict[str, list[str]] = defaultdict(list)
    for second in seconds:
        for name, text in second.latencies.items():
            packed[name].append(text)
    totals = {name: histograms.total(texts) for name, texts in packed.items()}
    return [
        Latency(name, total.total_count, *histograms.milliseconds(total, PERCENTS))
        for name, total in totals.items()
        if total.total_count
    ]


def _server(seconds: Sequence[Second]) -> Server:
    seen: dict[str, list[float]] = defaultdict(list)
    for second in seconds:
        for name, value in second.server.items():
            seen[name].append(value)
    cpu, rss = seen.pop("cpu", None), seen.pop("rss_bytes", None)
    delivered = sum(second.delivered for second in seconds if "cpu" in second.server)
    return Server(
        cpu=sum(cpu) / len(cpu) if cpu else None,
        cpu_most=max(cpu) if cpu else None,
        cpu_per_delivery=sum(cpu) / delivered * 1e6 if cpu and delivered else None,
        rss_most=max(rss) if rss else None,
        counters=[
            Counter(name, sum(values), max(values))
            for name, values in sorted(seen.items())
            if not name.startswith("queue.") and any(values)
        ],
    )
