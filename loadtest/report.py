"""A run's report: one HTML file that needs nothing else, and the run itself as JSON beside it."""

import os
import shlex
from collections import Counter
from importlib import resources
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
from jinja2 import Environment, StrictUndefined
from msgspec import Struct

from loadtest.merge import FILE
from loadtest.results import Run
from loadtest.summary import Summary

HTML = "report.html"
_FIGURES = {
    "bytes_per_connection": ("memory of a connection", "bytes", "resident, of the server"),
    "recovered_within_seconds": ("all recovered within", "s", "since they were to come back"),
}
"""What scenarios are played for that no second of theirs shows."""


class Tile(Struct, frozen=True):
    """A figure that the report begins with."""

    name: str
    value: str
    unit: str
    note: str


class Verdict(Struct, frozen=True):
    good: bool
    text: str


def write(run: Run, folder: Path) -> Path:
    """Writes `run.json` and `report.html` into the folder, which is made if need be; each is whole or is not there.

    Returns the HTML's path. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / FILE, msgspec.json.format(msgspec.json.encode(run), indent=1))
    html = folder / HTML
    _replace(html, page(run).encode())
    return html


def page(run: Run) -> str:
    """The HTML."""
    from loadtest.plots import plots  # noqa: PLC0415 - matplotlib takes its time; no load waits for that

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"whole": _whole, "ms": _ms, "figure": _figure, "words": _words}
    template = environment.from_string(resources.files("loadtest").joinpath("report.html.j2").read_text("utf-8"))
    summary = Summary.of(run)
    return template.render(
        run=run,
        summary=summary,
        verdict=verdict(run, summary),
        tiles=_tiles(run, summary),
        plots=plots(run),
        command=command(run),
    )


def verdict(run: Run, summary: Summary) -> Verdict:
    """Whether the server kept its promises, in a sentence."""
    stopped = f" It was interrupted after {_whole(summary.seconds)} seconds." if run.interrupted else ""
    if run.failed or run.failures:
        kinds = Counter(failure.kind for failure in run.failures)
        told = ", ".join(f"{kind} {_whole(count)}" for kind, count in kinds.most_common())
        of = f"of the first {_whole(len(run.failures))}: " if run.failed > len(run.failures) > 0 else ""
        return Verdict(
            False, f"Failed: {_whole(max(run.failed, len(run.failures)))} broken promises; {of}{told}.{stopped}"
        )
    if not run.seconds:
        return Verdict(False, f"Nothing was measured.{stopped}")
    if not summary.delivered:
        return Verdict(True, f"No promise was broken; nothing was sent to be delivered.{stopped}")
    return Verdict(
        True,
        f"All promises kept: {_whole(summary.delivered)} deliveries compared byte for byte, "
        f"no hole, no double, all in order.{stopped}",
    )


def command(run: Run) -> str:
    """What to type to run it again."""
    words = ["python", "-m", "loadtest", run.scenario]
    options = {"url": run.url, **run.options} if run.url else run.options
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _tiles(run: Run, summary: Summary) -> list[Tile]:
    server = summary.server
    # To the millisecond where the scenario has measured it so; whole seconds do not know when the load began
    delivered = run.figures.get("deliveries_per_second", summary.delivered_rate)
    acknowledged = run.figures.get("acknowledged_per_second", summary.acknowledged_rate)
    tiles = [Tile("connections", _whole(summary.connections), "", "open at most")]
    tiles += [
        Tile(title, _figure(run.figures[name]), unit, note)
        for name, (title, unit, note) in _FIGURES.items()
        if name in run.figures
    ]
    if summary.delivered:
        most = f"{_whole(summary.delivered_most)} in the best second"
        tiles.append(Tile("deliveries", _whole(delivered), "/s", most))
    if summary.sent:
        tiles.append(Tile("messages", _whole(acknowledged), "/s", f"acknowledged; {_whole(summary.sent)} in all"))
    tiles += [
        Tile(f"{latency.name} p99", _ms(latency.p99), "ms", f"p50 {_ms(latency.p50)}, max {_ms(latency.most)}")
        for latency in summary.latencies
    ]
    if server.cpu is not None and server.cpu_most is not None:
        load = "" if server.load_cpu is None else f"; load generator {server.load_cpu:.0%}"
        tiles.append(
            Tile("server's processor", f"{server.cpu:.0%}", "of a core", f"at most {server.cpu_most:.0%}{load}")
        )
    if server.cpu_per_delivery is not None:
        tiles.append(Tile("processor per delivery", f"{server.cpu_per_delivery:,.2f}", "µs", "all the server does"))
    if server.rss_most is not None:
        tiles.append(Tile("server's memory", f"{server.rss_most / 2**20:,.1f}", "MiB", "resident, at most"))
    return tiles


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _ms(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1_000 else f"{value:.3g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _replace(path: Path, content: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
