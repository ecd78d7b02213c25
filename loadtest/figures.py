"""A scenario's figures, from the seconds of its run. Names say the unit."""

from statistics import fmean

from hdrh.histogram import HdrHistogram

from loadtest import histograms
from loadtest.results import Second
from loadtest.schedule import SECOND, Schedule
from loadtest.stage import Stage

PERCENTS = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}


def percentiles(stage: Stage, name: str, first: int, last: int | None = None) -> dict[str, float]:
    """Of the latencies of that name, from one second of the run to another: `NAME_p50_ms` and so on."""
    found = histograms.milliseconds(_total(stage, name, first, last), list(PERCENTS.values()))
    return {f"{name}_{percent}_ms": value for percent, value in zip(PERCENTS, found, strict=False)}


def rates(stage: Stage, schedule: Schedule) -> dict[str, float]:
    """What went through by a timed schedule that is settled: from its start to the last acknowledgement."""
    first, last = stage.second_of(schedule.start), stage.second_of(stage.last_answer)
    took = (stage.last_answer - schedule.start) / SECOND
    found: dict[str, float] = {}
    for name, rate in (("acknowledgement", "acknowledged_per_second"), ("delivery", "deliveries_per_second")):
        found[rate] = _total(stage, name, first, None).total_count / took
        found |= percentiles(stage, name, first)
    whole = _within(stage, first + 1, last - 1)
    for key, name in (("cpu", "server_cpu_share"), ("rss_bytes", "server_rss_bytes"), ("own_cpu", "load_cpu_share")):
        if values := [second.server[key] for second in whole if key in second.server]:
            found[name] = fmean(values)
    return found


def packed(stage: Stage, name: str, first: int, last: int | None) -> list[str]:
    """The histograms of that name."""
    return [second.latencies[name] for second in _within(stage, first, last) if name in second.latencies]


def _total(stage: Stage, name: str, first: int, last: int | None) -> HdrHistogram:
    return histograms.total(packed(stage, name, first, last))


def _within(stage: Stage, first: int, last: int | None) -> list[Second]:
    return [second for second in stage.seconds if first <= second.at and (last is None or second.at <= last)]
