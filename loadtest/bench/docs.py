"""A bench's results in docs/performance.md, between two marks, and the pictures that it shows."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import median

from loadtest import sections
from loadtest.bench import pictures
from loadtest.bench.results import Bench, Comparison, Configuration
from loadtest.bench.targets import ENOUGH, Verdict, verdicts
from loadtest.bench.timing import Figure
from loadtest.peers import OURS, SERVERS

SECTION = "bench"
CLIENT_BOUND = 0.95
"""Share of its core from which on the load generator may be what limits a figure."""
ABOUT = """\
Written by `make bench`; do not edit between these marks. `{command}`, {date}, {minutes:.0f} minutes: {machine}.

One publisher keeps a window of messages in flight: a message is done when every subscriber has received it, then the
next is sent. Each server has core 0 with all its threads, its subscribers (bare sockets, one process) core 1; ours and
the other are both up, the one that is not measured is stopped (SIGSTOP), and they take turns: ours, theirs, ours, …
A ratio is the geometric mean of those pairs' ratios of deliveries a second, with its 95% interval. All deliver equal
`message.created` objects; before measuring, every byte that every subscriber receives is compared once, and while
measuring, one subscriber's stream is parsed and the others' bytes are counted. Ours runs as the whole product: tokens,
default content policy, every message committed to the durable log (SQLite on disk) before it is delivered; only
limits per second are off. Keep-alive pings are off everywhere.
"""
VERSIONS = "Versions: {versions}."
LEFT_OUT = "Left out: {left_out}"


def write(bench: Bench, docs: Path) -> None:
    """Rewrites `performance.md` and `pictures/bench-*.svg`. Raises Failed where the marks are missing, OSError."""
    page = docs / "performance.md"
    sections.around(page, SECTION)
    (docs / "pictures").mkdir(exist_ok=True)
    shown = [f"![{drawn.title}](pictures/{drawn.name})" for drawn in pictures.draw(bench, docs / "pictures")]
    sections.rewrite(page, SECTION, section(bench, shown))


def section(bench: Bench, shown: list[str]) -> str:
    """The whole section, as Markdown."""
    date = bench.started.replace("T", " ").removesuffix("Z") + " UTC"
    about = ABOUT.format(command=bench.command, date=date, minutes=bench.minutes, machine=bench.machine)
    versions = ", ".join(f"{SERVERS[name].title} ({version})" for name, version in bench.versions.items())
    parts = ["## Beside other servers", about + VERSIONS.format(versions=versions)]
    parts += [LEFT_OUT.format(left_out=one) for one in bench.left_out]
    parts += ["### Targets", targets(bench), *shown]
    for title, found in groups(bench.comparisons):
        parts += [f"### {title}", table(found)]
    return "\n\n".join(parts) + "\n"


def targets(bench: Bench) -> str:
    """As Markdown, those not measured too."""
    lines = ["| work | beside | at least | measured | |", "|---|---|---|---|---|"]
    for verdict in verdicts(bench.comparisons):
        work = _work(verdict.target.configuration)
        beside = SERVERS[verdict.peer].title if verdict.peer else "the best peer"
        if not verdict.target.peer and verdict.peer:
            beside = f"the best peer: {beside}"
        lines.append(f"| {work} | {beside} | {verdict.target.factor:g} × | {_measured(verdict)} |")
    return "\n".join([*lines, "", f"Met: the interval's lower end is at least {ENOUGH:g} of the target."])


def _measured(verdict: Verdict) -> str:
    if verdict.found is None:
        return "not measured | "
    ratio = verdict.found
    return f"{ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) | {'met' if verdict.met else '**missed**'}"


def _work(configuration: Configuration) -> str:
    one = configuration
    rooms = f"{one.subscribers:,} rooms of {one.each}" if one.each else f"{one.subscribers:,} subscribers"
    return f"{rooms}, {one.window:,} in flight"


def groups(comparisons: list[Comparison]) -> Iterator[tuple[str, list[Comparison]]]:
    """What belongs into one table, with its title: all but the window is equal."""

    def key(one: Comparison) -> tuple[bool, str, int, int]:
        conf = one.configuration
        return bool(conf.each), conf.codec, conf.characters, conf.subscribers

    for _, found in groupby(sorted(comparisons, key=key), key):
        same = list(found)
        one = same[0].configuration
        rooms = f"{one.subscribers:,} subscribers of one room"
        if one.each:
            rooms = f"{one.subscribers:,} rooms of {one.each}, over {one.subscribers:,} connections"
        codec = {"json": "JSON", "msgpack": "MessagePack"}[one.codec]
        yield f"{rooms}, {one.characters:,} characters, {codec}", same


def table(comparisons: list[Comparison]) -> str:
    """Of one group, as Markdown: medians of each server's measurements."""
    lines = [
        "| in flight | server | deliveries/s | server's µs a delivery | p50 ms | p99 ms | ours ÷ it | pairs |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]

    def window(one: Comparison) -> int:
        return one.configuration.window

    order = list(SERVERS)
    for size, found in groupby(sorted(comparisons, key=window), window):
        same = sorted(found, key=lambda one: order.index(one.peer))
        ours = [figure for one in same for figure in one.ours]
        lines.append(f"| {size:,} | **{SERVERS[OURS].title}** | {_figures(ours)} | | |")
        for one in same:
            ratio = f"{one.ratio.mean:.2f} ({one.ratio.low:.2f} to {one.ratio.high:.2f})"
            title = SERVERS[one.peer].title
            lines.append(f"| {size:,} | {title} | {_figures(one.theirs)} | {ratio} | {one.ratio.pairs} |")
    if any("†" in line for line in lines):
        lines += ["", f"† the load generator used {CLIENT_BOUND:.0%} of its core or more: the server may be faster."]
    return "\n".join(lines)


def _figures(figures: list[Figure]) -> str:
    rate = median(one.deliveries_per_second for one in figures)
    bound = " †" if median(one.client_cpu for one in figures) >= CLIENT_BOUND else ""
    cost = median(one.microseconds for one in figures)
    p50, p99 = median(one.p50 for one in figures), median(one.p99 for one in figures)
    return f"{_short(rate)}{bound} | {cost:.2f} | {p50:.2f} | {p99:.2f}"


def _short(rate: float) -> str:
    """Three figures are what a measurement is worth."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if rate >= size:
            return f"{rate / size:.3g}{unit}" if rate < 100 * size else f"{rate / size:.0f}{unit}"
    return f"{rate:.0f}"
