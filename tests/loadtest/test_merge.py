from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.merge import load, merge
from loadtest.results import Failure, Run, Second
from tests.loadtest.runs import HOLE, packed, run


def test_one_run_stays_as_it_is() -> None:
    alone = run(3)
    merged = merge([alone])
    for name in ("scenario", "url", "started", "options", "machines", "figures", "failures", "failed", "interrupted"):
        assert getattr(merged, name) == getattr(alone, name)
    assert [second.delivered for second in merged.seconds] == [second.delivered for second in alone.seconds]


def test_counts_of_the_same_second_are_added_and_a_machine_that_ran_longer_stays() -> None:
    first, other = run(2, seed=1), run(3, seed=2)
    merged = merge([first, other])
    assert [second.at for second in merged.seconds] == [0, 1, 2]
    for name in ("connections", "sent", "acknowledged", "delivered", "skipped"):
        values = [getattr(second, name) for second in merged.seconds]
        both = [getattr(a, name) + getattr(b, name) for a, b in zip(first.seconds, other.seconds[:2], strict=True)]
        assert values == [*both, getattr(other.seconds[2], name)]


@given(st.lists(st.lists(st.integers(1, histograms.LONGEST - 1), min_size=1, max_size=50), min_size=1, max_size=4))
def test_latencies_are_those_of_all_machines_together(machines: list[list[int]]) -> None:
    runs = [run(0, seconds=[Second(at=7, latencies={"delivery": packed(values)})]) for values in machines]
    together = histograms.unpack(packed(value for values in machines for value in values))
    merged = histograms.unpack(merge(runs).seconds[0].latencies["delivery"])
    percents = [0.0, 50, 90, 99, 99.9, 100]
    assert merged.total_count == together.total_count
    assert histograms.milliseconds(merged, percents) == histograms.milliseconds(together, percents)


def test_a_histogram_that_one_machine_alone_has_stays() -> None:
    first = run(0, seconds=[Second(at=0, latencies={"delivery": packed([5])})])
    other = run(0, seconds=[Second(at=0, latencies={"recovery": packed([9])})])
    assert merge([first, other]).seconds[0].latencies == {"delivery": packed([5]), "recovery": packed([9])}


def test_the_one_server_is_not_counted_twice() -> None:
    local = run(0, seconds=[Second(at=0, server={"cpu": 0.8, "joins": 10})])
    remote = run(0, seconds=[Second(at=0, server={"joins": 12, "queue.inbox": 3}), Second(at=1, server={"joins": 1})])
    first, then = merge([local, remote]).seconds
    assert first.server == {"cpu": 0.8, "joins": 10, "queue.inbox": 3}
    assert then.server == {"joins": 1}


def test_the_busiest_load_generator_is_told_of() -> None:
    runs = [run(0, seconds=[Second(at=0, server={"own_cpu": share})]) for share in (0.2, 0.9, 0.4)]
    assert merge(runs).seconds[0].server == {"own_cpu": 0.9}


def test_failures_machines_and_interruption_of_any_are_kept() -> None:
    first = run(1, seed=1, failures=[HOLE], failed=70, started="2026-11-23T10:00:01Z")
    double = Failure(kind="double", text="g.lobby: 10 follows 10")
    other = run(1, seed=2, failures=[double], failed=2, interrupted=True)
    merged = merge([first, other])
    assert (merged.failures, merged.failed, merged.interrupted) == ([HOLE, double], 72, True)
    assert merged.machines == first.machines + other.machines
    assert merged.started == "2026-11-23T10:00:00Z"


def test_what_differs_is_told_of_each() -> None:
    first = run(1, url="ws://10.0.0.1/", options={"connections": 5_000, "rate": 10}, figures={"a": 1.0, "b": 2.0})
    other = run(1, url="ws://10.0.0.2/", options={"connections": 9_000, "rate": 10}, figures={"a": 1.0, "b": 3.0})
    merged = merge([first, other])
    assert merged.url == "ws://10.0.0.1/, ws://10.0.0.2/"
    assert merged.options == {"connections": "5000 + 9000", "rate": 10}
    assert merged.figures == {"a": 1.0, "b (1 of 2)": 2.0, "b (2 of 2)": 3.0}


def test_other_scenarios_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="scenario is fanout and storm"):
        merge([run(1), run(1, scenario="storm")])
    with pytest.raises(ValueError, match="no runs"):
        merge([])


def test_runs_are_loaded_from_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(run(2)))
    assert load(tmp_path) == load(tmp_path / "run.json") == run(2)


def broken(**changed: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(run(2)) | changed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "truncated"),
        (b"<html>", "malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `scenario`"),
        (b'{"scenario": "\xff"}', "run.json: "),
        (broken(seconds=[{"at": "one"}]), r"Expected `int`, got `str` - at `\$.seconds\[0\].at`"),
        (broken(failed=None), r"at `\$.failed`"),
        (
            broken(seconds=[{"at": 0}, {"at": 1, "latencies": {"delivery": "no"}}]),
            r"not an HdrHistogram: .* - at `\$.seconds\[1\].latencies.delivery`",
        ),
        (
            broken(seconds=[{"at": 0, "latencies": {"delivery": packed([1])[:-9]}}]),
            r"not an HdrHistogram: .* - at `\$.seconds\[0\].latencies.delivery`",
        ),
    ],
)
def test_what_is_no_run_is_refused_with_file_and_field(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_no_file_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.json"):
        load(tmp_path / "none.json")


def test_merged_runs_merge_again() -> None:
    runs: list[Run] = [run(2, seed=seed) for seed in (1, 2, 3)]
    assert merge([merge(runs[:2]), runs[2]]) == merge(runs)
