"""A run's plots, as SVG that takes its colours from the page's CSS variables: `--ink`, `--grid`, `--c0` to `--c5`.

Nothing that a server or a user named is handed to matplotlib: legends and titles are for the page to write, escaped.
"""

import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
from hdrh.histogram import HdrHistogram
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.typing import RcKeyType
from msgspec import Struct

from loadtest import histograms
from loadtest.results import Run
from loadtest.timeline import Point, timeline

COLOURS = 6
_INK, _GRID = "#00000a", "#00000b"
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loadtest",
    "text.parse_math": False,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": _GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "ytick.major.size": 0,
    "lines.solid_joinstyle": "round",
}
_TIMES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
_LOGARITHMIC = 50
"""A plot of times whose greatest is so many times its smallest has a logarithmic axis."""


class Plot(Struct, frozen=True):
    title: str
    unit: str
    svg: str
    legend: list[str]
    """The lines' names in the order of their colours."""


Line = tuple[str, Sequence[float], Sequence[float]]
"""Name, x, y."""


def plots(run: Run) -> list[Plot]:
    """Those that the run has data for."""
    points = timeline(run.seconds)
    if not points:
        return []
    with mpl.rc_context(_STYLE):
        found = [*_latencies(points), _percentiles(points), *_rates(points), *_server(points)]
    return [plot for plot in found if plot is not None]


def _latencies(points: Sequence[Point]) -> Iterable[Plot | None]:
    for name in histograms.delivery_first(_names(point.latencies for point in points)):
        have = [point for point in points if name in point.latencies and point.latencies[name].total_count]
        at = [point.at for point in have]
        times = [histograms.milliseconds(point.latencies[name], list(_TIMES.values())) for point in have]
        lines = [(label, at, [values[i] for values in times]) for i, label in enumerate(_TIMES)]
        yield _over_time(points, f"Latency over time: {name}", "ms", lines, scale=_scale)


def _percentiles(points: Sequence[Point]) -> Plot | None:
    """As HdrHistogram's own plot: each further nine takes as much room as the one before."""
    lines: list[Line] = []
    for name in histograms.delivery_first(_names(point.latencies for point in points)):
        total = histograms.empty()
        for point in points:
            if name in point.latencies:
                total.add(point.latencies[name])
        if total.total_count:
            lines.append((name, *_nines(total)))
    if not lines:
        return None
    figure, axes = _figure()
    _draw(axes, lines)
    _scale(axes, lines)
    most = max(x[-1] for _, x, _ in lines)
    nines = math.ceil(math.log10(most))
    ticks = range(0, nines + 1, 1 if nines < 6 else 2)
    axes.set_xscale("log")
    axes.set_xlim(1, max(most, 10))
    axes.xaxis.set_major_locator(FixedLocator([10.0**tick for tick in ticks]))
    axes.xaxis.set_major_formatter(
        FixedFormatter([f"{100 * (1 - 10.0**-tick):.{max(tick - 2, 0)}f}%" for tick in ticks])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=10)
    return _plot("Latency by percentile", "ms", figure, lines)


def _nines(total: HdrHistogram, steps: int = 200) -> tuple[list[float], list[float]]:
    """1 / (1 - quantile), up to one time in all of them, and the milliseconds there."""
    x = [total.total_count ** (step / steps) for step in range(steps + 1)]
    return x, histograms.milliseconds(total, [100 * (1 - 1 / value) for value in x[:-1]] + [100.0])


def _rates(points: Sequence[Point]) -> Iterable[Plot | None]:
    at = [point.at for point in points]
    received = {"delivered": [point.delivered for point in points], "skipped": [point.skipped for point in points]}
    said = {"sent": [point.sent for point in points], "acknowledged": [point.acknowledged for point in points]}
    yield _over_time(points, "Deliveries", "a second", [(name, at, y) for name, y in received.items() if any(y)])
    yield _over_time(points, "Messages", "a second", [(name, at, y) for name, y in said.items() if any(y)])
    yield _over_time(points, "Connections", "open", [("connections", at, [point.connections for point in points])])


def _server(points: Sequence[Point]) -> Iterable[Plot | None]:
    shares = {"cpu": "server", "own_cpu": "load generator"}
    cpu = [(shares[name], x, y) for name, x, y in _seen(points, list(shares), 100)]
    yield _over_time(points, "Processor", "% of a core", cpu)
    yield _over_time(points, "Server: memory", "MiB resident", _seen(points, ["rss_bytes"], 2**-20))
    deepest = {
        name: max(point.server.get(name, 0.0) for point in points)
        for name in _names(point.server for point in points)
        if name.startswith("queue.")
    }
    shown = sorted((name for name in deepest if deepest[name]), key=lambda name: -deepest[name])[:COLOURS]
    yield _over_time(points, "Server: queues", "depth", _seen(points, shown))


def _seen(points: Sequence[Point], names: Sequence[str], factor: float = 1) -> list[Line]:
    lines: list[Line] = []
    for name in names:
        have = [point for point in points if name in point.server]
        if have:
            at = [point.at for point in have]
            lines.append((name.removeprefix("queue."), at, [factor * point.server[name] for point in have]))
    return lines


# How they are drawn


def _over_time(
    points: Sequence[Point],
    title: str,
    unit: str,
    lines: Sequence[Line],
    scale: Callable[[Axes, Sequence[Line]], None] | None = None,
) -> Plot | None:
    if not any(x for _, x, _ in lines):
        return None
    figure, axes = _figure()
    first, last = points[0].at, points[-1].at
    minutes = last > 300
    unit_seconds = 60 if minutes else 1
    _draw(axes, [(name, [value / unit_seconds for value in x], y) for name, x, y in lines])
    margin = max(0.01 * (last - first), 0.5)
    axes.set_xlim((first - margin) / unit_seconds, (last + margin) / unit_seconds)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel("minutes" if minutes else "seconds")
    (scale or _from_zero)(axes, lines)
    return _plot(title, unit, figure, lines)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 2.7), layout="constrained")
    return figure, figure.subplots()


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    for i, (_, x, y) in enumerate(lines):
        # Later lines are thinner, so that one upon another still shows both
        axes.plot(x, y, color=_colour(i), linewidth=max(2.6 - 0.6 * i, 1), marker="o" if len(x) < 3 else None)


def _from_zero(axes: Axes, lines: Sequence[Line]) -> None:
    axes.set_ylim(0, 1.08 * max((value for _, _, y in lines for value in y), default=0) or 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def _scale(axes: Axes, lines: Sequence[Line]) -> None:
    values = [value for _, _, y in lines for value in y if value > 0]
    if values and max(values) > _LOGARITHMIC * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(values) < 500 * min(values) else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        _from_zero(axes, lines)


def short(value: float) -> str:
    """1,200,000 as 1.2M: three digits are enough beside a line."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def _colour(i: int) -> str:
    return f"#0000f{i}"


def _plot(title: str, unit: str, figure: Figure, lines: Sequence[Line]) -> Plot:
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    return Plot(title, unit, _for_page(drawn.getvalue(), title), [name for name, _, _ in lines])


def _for_page(svg: str, title: str) -> str:
    """Without the XML document's head, with the page's colours, and with ids that no other plot of the page has."""
    own = re.sub(r"\W+", "-", title.lower())
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{own}-", svg)
    svg = re.sub(r"#0000f(\d)", r"var(--c\1)", svg)
    return svg.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")


def _names(given: Iterable[dict[str, HdrHistogram] | dict[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for found in given for name in found))
