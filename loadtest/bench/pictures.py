"""A bench's plots, as SVG files."""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.typing import RcKeyType
from msgspec import Struct

from loadtest.bench.plan import MUST
from loadtest.bench.results import Bench, Comparison, Configuration
from loadtest.bench.targets import verdicts
from loadtest.peers import OURS, SERVERS

COLOURS = {
    OURS: "#d6336c",
    "uwebsockets": "#1971c2",
    "nats": "#2f9e44",
    "ws": "#e8890c",
    "websockets": "#7048e8",
    "floor": "#868e96",
}
STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "bench",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
}


class Picture(Struct, frozen=True):
    name: str
    title: str


def draw(bench: Bench, folder: Path) -> list[Picture]:
    """Writes those pictures for which there are figures; removes those of another run. Raises OSError."""
    drawn = []
    pictures: list[tuple[Picture, Callable[[Bench], Canvas | None]]] = [
        (Picture("bench-windows.svg", "Deliveries a second by messages in flight"), _windows),
        (Picture("bench-subscribers.svg", "Deliveries a second by subscribers of the room"), _subscribers),
        (Picture("bench-targets.svg", "Ratios to other servers, with their 95% intervals, and the targets"), _targets),
    ]
    with mpl.rc_context(STYLE):
        for picture, make in pictures:
            path = folder / picture.name
            path.unlink(missing_ok=True)
            if (canvas := make(bench)) is not None:
                canvas.savefig(path, metadata={"Date": None})
                drawn.append(picture)
    return drawn


def rates(comparisons: list[Comparison], configuration: Configuration) -> dict[str, float]:
    """Median deliveries a second of each server that was measured so."""
    found = [one for one in comparisons if one.configuration == configuration]
    result = {one.peer: median(figure.deliveries_per_second for figure in one.theirs) for one in found}
    if found:
        result[OURS] = median(figure.deliveries_per_second for one in found for figure in one.ours)
    return {name: result[name] for name in SERVERS if name in result}


def _windows(bench: Bench) -> Canvas | None:
    """Bars by server, a group a window, of the targets' configuration."""
    by_window = {
        one.configuration.window: rates(bench.comparisons, one.configuration)
        for one in sorted(bench.comparisons, key=lambda one: one.configuration)
        if _like_must(one.configuration) and one.configuration.subscribers == MUST.subscribers
    }
    if not by_window:
        return None
    canvas = Canvas(figsize=(8, 4), layout="constrained")
    axes = canvas.subplots()
    servers = [name for name in SERVERS if any(name in found for found in by_window.values())]
    for i, name in enumerate(servers):
        places = [
            at + (i - (len(servers) - 1) / 2) * 0.13 for at, found in enumerate(by_window.values()) if name in found
        ]
        heights = [found[name] for found in by_window.values() if name in found]
        axes.bar(places, heights, 0.12, label=SERVERS[name].title, color=COLOURS[name])
    axes.set_xticks(range(len(by_window)), [f"{window:,} in flight" for window in by_window])
    axes.set_title(f"{MUST.subscribers:,} subscribers, {MUST.characters} characters, JSON", loc="left")
    axes.grid(visible=False, axis="x")
    _rates_axis(axes)
    lowest = min(rate for found in by_window.values() for rate in found.values())
    axes.set_ylim(bottom=10 ** math.floor(math.log10(lowest)))
    canvas.legend(loc="outside lower center", ncols=3, frameon=False)
    return canvas


def _subscribers(bench: Bench) -> Canvas | None:
    """A line a server, a panel a window."""
    counts = sorted({one.configuration.subscribers for one in bench.comparisons if _like_must(one.configuration)})
    windows = sorted({one.configuration.window for one in bench.comparisons if _like_must(one.configuration)})
    if len(counts) < 2:
        return None
    canvas = Canvas(figsize=(9, 4), layout="constrained")
    panels = canvas.subplots(1, len(windows), sharey=True, squeeze=False)[0]
    for axes, window in zip(panels, windows, strict=True):
        found = {count: rates(bench.comparisons, Configuration(subscribers=count, window=window)) for count in counts}
        for name in SERVERS:
            line = [(count, rate[name]) for count, rate in found.items() if name in rate]
            if line:
                axes.plot(*zip(*line, strict=True), "o-", color=COLOURS[name], label=SERVERS[name].title)
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(f"{window:,} in flight", loc="left")
        axes.set_xlabel("subscribers")
        _rates_axis(axes)
        axes.label_outer()
    handles = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    return canvas


def _targets(bench: Bench) -> Canvas | None:
    """A dot with its interval, and a tick where the target is."""
    found = [(one, one.found) for one in verdicts(bench.comparisons) if one.found is not None]
    if not found:
        return None
    canvas = Canvas(figsize=(8, 0.9 + 0.38 * len(found)), layout="constrained")
    axes = canvas.subplots()
    labels = []
    for place, (verdict, ratio) in enumerate(found):
        one = verdict.target.configuration
        labels.append(
            f"{f'rooms of {one.each}, ' if one.each else ''}{one.window} in flight: {SERVERS[verdict.peer].title}"
        )
        reach = [[ratio.mean - ratio.low], [ratio.high - ratio.mean]]
        axes.errorbar(ratio.mean, place, xerr=reach, fmt="o", capsize=4, color=COLOURS[verdict.peer])
        axes.plot(verdict.target.factor, place, "|", markersize=16, markeredgewidth=2, color="black")
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else ""))
    axes.set_title("ours ÷ theirs, deliveries/s; black: the target", loc="left")
    axes.grid(visible=False, axis="y")
    return canvas


def _like_must(configuration: Configuration) -> bool:
    one = configuration
    return (one.each, one.characters, one.codec) == (MUST.each, MUST.characters, MUST.codec)


def _rates_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_ylabel("deliveries/s")
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k")
    )
