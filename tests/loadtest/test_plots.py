import re
from xml.etree import ElementTree

import pytest

from loadtest.plots import COLOURS, Plot, plots, short
from loadtest.results import Second
from tests.loadtest.runs import packed, run


def by_title(*seconds: Second) -> dict[str, Plot]:
    return {plot.title: plot for plot in plots(run(0, seconds=list(seconds)))}


def texts(plot: Plot) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", plot.svg)


def lines(plot: Plot) -> int:
    """How many of the legend's colours are drawn with."""
    return len(set(re.findall(r"stroke: var\(--c(\d)\)", plot.svg)))


def test_a_full_run_has_all_of_them() -> None:
    found = {plot.title: plot for plot in plots(run(10))}
    assert list(found) == [
        "Latency over time: delivery",
        "Latency over time: acknowledgement",
        "Latency by percentile",
        "Deliveries",
        "Messages",
        "Connections",
        "Processor",
        "Server: memory",
        "Server: queues",
    ]
    for plot in found.values():
        assert lines(plot) == len(plot.legend)
    assert found["Latency over time: delivery"].legend == ["p50", "p90", "p99", "max"]
    assert found["Server: queues"].legend == ["inbox", "outbox"]


def test_what_has_no_data_has_no_plot() -> None:
    assert list(by_title(Second(at=0, connections=3))) == ["Connections"]
    assert plots(run(0)) == []


def test_svg_is_whole_takes_the_pages_colours_and_shares_no_id() -> None:
    seen: set[str] = set()
    for plot in plots(run(10)):
        ElementTree.fromstring(plot.svg)  # noqa: S314 - our own
        ids = re.findall(r' id="([^"]+)"', plot.svg)
        assert len(ids) == len(set(ids))
        assert seen.isdisjoint(ids)
        seen.update(ids)
        used = re.findall(r"""url\(#([^)]+)\)|href="#([^"]+)\"""", plot.svg)
        assert {a or b for a, b in used} <= set(ids)
        assert not re.search(r"#[0-9a-f]{6}\b", plot.svg)


def test_the_percentile_plot_goes_as_far_as_there_are_times() -> None:
    for count, last in ((5, "90%"), (1_000, "99.9%"), (100_000, "99.999%"), (1_000_000, "99.9999%")):
        each = packed([1_000] * min(count, 1_000))
        seconds = [Second(at=at, latencies={"delivery": each}) for at in range(max(count // 1_000, 1))]
        percents = [text for text in texts(by_title(*seconds)["Latency by percentile"]) if text.endswith("%")]
        assert (percents[0], percents[-1]) == ("0%", last)


def test_minutes_where_seconds_would_be_too_many() -> None:
    assert "seconds" in texts(by_title(Second(at=0), Second(at=300))["Connections"])
    assert "minutes" in texts(by_title(Second(at=0), Second(at=301))["Connections"])


def test_wide_spread_times_have_a_logarithmic_axis() -> None:
    narrow = by_title(Second(at=0, latencies={"delivery": packed([10_000, 40_000])}))
    wide = by_title(Second(at=0, latencies={"delivery": packed([1_000, 900_000])}))
    title = "Latency over time: delivery"
    assert "0" in texts(narrow[title])[1:]
    assert {"1", "10", "100"} <= set(texts(wide[title]))


def test_of_many_queues_the_deepest_are_drawn() -> None:
    depths = {f"queue.q{i}": float(i) for i in range(10)}
    assert by_title(Second(at=0, server=depths))["Server: queues"].legend == [f"q{9 - i}" for i in range(COLOURS)]


def test_names_of_others_are_left_to_the_page() -> None:
    name = "$\\frac{</text><script>alert(1)</script>"
    found = by_title(Second(at=0, latencies={name: packed([1, 2])}, server={f"queue.{name}": 3}))
    assert found["Server: queues"].legend == [name]
    for plot in found.values():
        assert "script" not in "".join(texts(plot))
        assert "<script" not in plot.svg


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (0.25, "0.25"), (999, "999"), (1_500, "1.5k"), (2e6, "2M"), (3e9, "3G")]
)
def test_short(value: float, said: str) -> None:
    assert short(value) == said
