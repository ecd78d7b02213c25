"""What a run found, as data: written as JSON beside the HTML report, and merged with the runs of other machines."""

from msgspec import Struct, field


class Second(Struct, kw_only=True):
    """One second of a run. `at` counts seconds from its start."""

    at: int
    connections: int = 0
    sent: int = 0
    acknowledged: int = 0
    delivered: int = 0
    """Logged events received, one for each connection that got it."""
    skipped: int = 0
    """Positions announced as skips, likewise."""
    latencies: dict[str, str] = field(default_factory=dict)
    """Name → HdrHistogram of microseconds, in its compressed base64 form: `delivery`, `acknowledgement`, `recovery`."""
    server: dict[str, float] = field(default_factory=dict)
    """What the server said at `/metrics`, or the system of its process: `cpu` (share of a core), `rss_bytes`, queue
    depths as `queue.NAME`, counters' growth in this second as `NAME`."""


class Failure(Struct, kw_only=True):
    """A broken promise: `hole`, `double`, `order`, `bytes`, `rooms`, or `lost` and `error` where a connection or a
    command failed, or `memory` where the server's grew.
    """

    kind: str
    text: str
    """Which room and position, which connection."""


class Run(Struct, kw_only=True):
    """One run of one scenario, or several machines' runs of it as one."""

    scenario: str
    url: str
    started: str
    """ISO 8601, UTC."""
    options: dict[str, int | float | str]
    machines: list[str]
    """Who generated the load: host, processor, cores, system."""
    seconds: list[Second]
    failures: list[Failure] = field(default_factory=list)
    """The first of them; `failed` counts all."""
    failed: int = 0
    interrupted: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    """The scenario's own results, by name with its unit: `bytes_per_connection`, `recovered_within_seconds`, …"""
