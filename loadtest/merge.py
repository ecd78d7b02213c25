"""Several machines' runs against one server, as one run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from loadtest import histograms
from loadtest.results import Run, Second

FILE = "run.json"


def load(path: Path) -> Run:
    """Reads a `run.json`, or the one in a report's folder.

    Raises OSError where there is none, and ValueError that names file and field where it is not a run's.
    """
    path = path / FILE if path.is_dir() else path
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    for i, second in enumerate(run.seconds):
        for name, packed in second.latencies.items():
            try:
                histograms.unpack(packed)
            except ValueError as error:
                raise ValueError(f"{path}: {error} - at `$.seconds[{i}].latencies.{name}`") from error
    return run


def merge(runs: Sequence[Run]) -> Run:
    """One run of all.

    What the machines did is added up, second by second since each one's start: so they are to be started together.
    What was seen of the server, which is one for all, is taken from the first that saw it. Of the load generators'
    processor time the greatest stays: that of the one which may have been at its limit.

    Raises ValueError where there are none, or they are not of one scenario.
    """
    if not runs:
        raise ValueError("there are no runs to merge")
    scenarios = _distinct(run.scenario for run in runs)
    if len(scenarios) > 1:
        raise ValueError(f"only runs of one scenario can be merged: scenario is {' and '.join(scenarios)}")
    return Run(
        scenario=scenarios[0],
        url=", ".join(_distinct(run.url for run in runs)),
        started=min(run.started for run in runs),
        options=_options([run.options for run in runs]),
        machines=[machine for run in runs for machine in run.machines],
        seconds=_seconds(runs),
        failures=[failure for run in runs for failure in run.failures],
        failed=sum(run.failed for run in runs),
        interrupted=any(run.interrupted for run in runs),
        figures=_figures([run.figures for run in runs]),
    )


def _seconds(runs: Sequence[Run]) -> list[Second]:
    together: dict[int, list[Second]] = defaultdict(list)
    for run in runs:
        for second in run.seconds:
            together[second.at].append(second)
    return [add(at, together[at]) for at in sorted(together)]


def add(at: int, parts: Sequence[Second]) -> Second:
    """Different machines' same second."""
    packed: dict[str, list[str]] = defaultdict(list)
    server: dict[str, float] = {}
    for part in parts:
        server = part.server | server
        if "own_cpu" in part.server:
            server["own_cpu"] = max(part.server["own_cpu"], server["own_cpu"])
        for name, text in part.latencies.items():
            packed[name].append(text)
    return Second(
        at=at,
        connections=sum(part.connections for part in parts),
        sent=sum(part.sent for part in parts),
        acknowledged=sum(part.acknowledged for part in parts),
        delivered=sum(part.delivered for part in parts),
        skipped=sum(part.skipped for part in parts),
        latencies={name: histograms.pack(histograms.total(texts)) for name, texts in packed.items()},
        server=server,
    )


def _options(given: Sequence[dict[str, int | float | str]]) -> dict[str, int | float | str]:
    """An option that differs lists every machine's."""
    merged: dict[str, int | float | str] = {}
    for name in _distinct(name for options in given for name in options):
        values = [options[name] for options in given if name in options]
        merged[name] = values[0] if len(set(values)) == 1 else " + ".join(map(str, values))
    return merged


def _figures(given: Sequence[dict[str, float]]) -> dict[str, float]:
    """Whether a figure is to be added, averaged or compared is the scenario's affair: where they differ, all stay."""
    merged: dict[str, float] = {}
    for name in _distinct(name for figures in given for name in figures):
        values = [figures[name] for figures in given if name in figures]
        if len(set(values)) == 1:
            merged[name] = values[0]
        else:
            merged |= {f"{name} ({i} of {len(values)})": value for i, value in enumerate(values, 1)}
    return merged


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
