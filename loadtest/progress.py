"""A run while it runs: a live panel in a terminal, one plain line a second elsewhere."""

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from hdrh.histogram import HdrHistogram
from rich.box import HORIZONTALS
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest import histograms
from loadtest.results import Second

PERCENTS = (50.0, 99.0, 99.9)
_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 24
"""Seconds that a sparkline shows."""
_QUEUES = 4
"""The fullest queues, so many."""
_QUEUES_WIDTH = 26
"""Characters of them that the panel shows: as many as stand beside the load's figures."""


class Progress:
    """Within a `with`. `duration` is that of what is measured, in seconds: it begins with the first latency, for nobody
    can say how long it takes to get that far.
    """

    def __init__(self, scenario: str, duration: float, console: Console | None = None):
        self._scenario = scenario
        self._duration = duration
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._last = Second(at=-1)
        self._server: dict[str, float] = {}
        self._began: int | None = None
        self._failed = 0
        self._totals: dict[str, HdrHistogram] = {}
        self._latencies: dict[str, list[float]] = {}
        self._deliveries: deque[float] = deque(maxlen=_HISTORY)
        self._p99: deque[float] = deque(maxlen=_HISTORY)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._live.update(self, refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, second: Second, failed: int = 0) -> None:
        """Shows the second that has just ended. `failed` counts the promises broken so far."""
        self._last, self._failed = second, failed
        self._server = second.server or self._server
        self._latencies = {}
        for name in histograms.delivery_first(second.latencies):
            histogram = histograms.unpack(second.latencies[name])
            self._totals.setdefault(name, histograms.empty()).add(histogram)
            self._latencies[name] = histograms.milliseconds(histogram, PERCENTS)
        if self._began is None and self._latencies:
            self._began = second.at
        self._deliveries.append(second.delivered)
        self._p99.append(next((times[1] for times in self._latencies.values() if times), 0.0))
        if self._live is not None:
            self._live.update(self, refresh=True)
        else:
            self._console.print(self.line(), markup=False, highlight=False, soft_wrap=True)

    def line(self) -> str:
        """The last second in one line."""
        second = self._last
        parts = [
            f"{second.at + 1:>5} s",
            f"{second.connections:,} connections",
            f"{second.sent:,} sent/s",
            f"{second.delivered:,} deliveries/s",
            *(f"{_printable(name)} {_spread(times)}" for name, times in self._latencies.items() if times),
        ]
        seen = {"server": _cpu(second.server), "memory": _memory(second.server), "queues": _queues(second.server)}
        parts += [f"{name} {value}" for name, value in seen.items() if value]
        parts.append(f"{self._failed:,} FAILURES" if self._failed else "no failures")
        return "  ".join(parts)

    def __rich__(self) -> RenderableType:
        width = min(self._console.width, 100)
        overview = Table.grid(padding=(0, 6))
        if width < 100:
            overview.add_row(self._load())
            overview.add_row(self._bears())
        else:
            overview.add_column(min_width=52)
            overview.add_row(self._load(), self._bears())
        return Panel(
            Group(overview, Text(), self._table(), Text(), self._bar()),
            title=Text(f"loadtest {self._scenario}", "bold"),
            title_align="left",
            padding=(1, 2),
            width=width,
            box=HORIZONTALS,
        )

    def _load(self) -> Table:
        second = self._last
        load = Table.grid(padding=(0, 2))
        load.add_column(style="dim", min_width=12)
        load.add_column(justify="right", style="bold", min_width=12)
        load.add_column(style="cyan", no_wrap=True, overflow="crop", min_width=_HISTORY)
        load.add_row("connections", f"{second.connections:,}")
        load.add_row("sent", f"{second.sent:,}/s")
        load.add_row("acknowledged", f"{second.acknowledged:,}/s")
        load.add_row("deliveries", f"{second.delivered:,}/s", sparkline(self._deliveries))
        load.add_row("p99", f"{self._p99[-1]:,.2f} ms" if any(self._p99) else "–", sparkline(self._p99))
        return load

    def _bears(self) -> Table:
        server = Table.grid(padding=(0, 2))
        server.add_column(style="dim", min_width=8)
        server.add_column(style="bold")
        server.add_row("server", _cpu(self._server) or "–")
        server.add_row("memory", _memory(self._server) or "–")
        queues = Text(_queues(self._server) or "–")
        queues.truncate(_QUEUES_WIDTH, overflow="ellipsis")
        server.add_row("queues", queues)
        server.add_row("skipped", f"{self._last.skipped:,}/s")
        broken = Text(f"{self._failed:,}", "bold red") if self._failed else Text("none", "bold green")
        server.add_row("failures", broken)
        return server

    def _table(self) -> Table:
        """Latencies, milliseconds: of the last second, and of all so far."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("latency, ms")
        for when in ("1 s", "all"):
            for percent in PERCENTS:
                table.add_column(f"p{percent:g} {when}", justify="right")
        for name, total in self._totals.items():
            last = self._latencies.get(name) or []
            cells = [f"{value:,.2f}" for value in last] or ["–"] * len(PERCENTS)
            cells += [f"{value:,.2f}" for value in histograms.milliseconds(total, PERCENTS)]
            table.add_row(Text(_printable(name)), *cells)
        return table

    def _bar(self) -> Table:
        elapsed = self._last.at + 1
        ran = 0 if self._began is None else min(elapsed - self._began, self._duration)
        left = self._duration - ran
        rest = "" if self._began is None else f", {left:,.0f} s left" if left > 0 else ", waiting for the last"
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right")
        bar.add_row(
            ProgressBar(max(self._duration, 1), ran, complete_style="cyan", finished_style="cyan"), f"{elapsed} s{rest}"
        )
        return bar


def sparkline(values: Sequence[float]) -> str:
    """From 0 to the greatest of them."""
    most = max(values, default=0)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] if most else _BARS[0] for value in values)


def _spread(times: Sequence[float]) -> str:
    return " ".join(f"p{percent:g} {value:,.2f}" for percent, value in zip(PERCENTS, times, strict=True)) + " ms"


def _cpu(server: dict[str, float]) -> str:
    return f"{server['cpu']:.0%} of a core" if "cpu" in server else ""


def _memory(server: dict[str, float]) -> str:
    return f"{server['rss_bytes'] / 2**20:,.1f} MiB" if "rss_bytes" in server else ""


def _queues(server: dict[str, float]) -> str:
    prefix = "queue."
    depths = {name.removeprefix(prefix): depth for name, depth in server.items() if name.startswith(prefix)}
    if not depths:
        return ""
    fullest = sorted((name for name in depths if depths[name]), key=lambda name: -depths[name])[:_QUEUES]
    return ", ".join(f"{_printable(name)} {depths[name]:,.0f}" for name in fullest) or "empty"


def _printable(name: str) -> str:
    """Names come from the server: none may move the cursor."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)
