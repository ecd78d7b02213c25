"""Every scenario, small, against a real server; and what happens when one is stopped or the server goes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest import histograms, merge
from loadtest.options import Options
from loadtest.results import Run, Second
from loadtest.run import Target, own_server, run


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with own_server(tmp_path_factory.mktemp("loadtest")) as target:
        yield target


async def play(target: Target, scenario: str, **options: int | float | str) -> Run:
    """All of it went well."""
    given = Options(**{"scenario": scenario, "connections": 30, "duration": 1, "senders": 5, "rate": 100} | options)  # type: ignore[arg-type]  # each test gives what fits
    found = await run(given, target)
    assert [failure.text for failure in found.failures] == []
    assert (found.scenario, found.failed, found.interrupted) == (scenario, 0, False)
    return found


def total(found: Run, name: str) -> int:
    return int(sum(getattr(second, name) for second in found.seconds))


def timed(found: Run, name: str) -> int:
    packed = [second.latencies[name] for second in found.seconds if name in second.latencies]
    return int(histograms.total(packed).total_count)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_fanout_times_every_acknowledgement_and_every_delivery(target: Target, codec: str) -> None:
    found = await play(target, "fanout", codec=codec, processes=2, warm_up=0.5)
    assert (total(found, "sent"), total(found, "acknowledged")) == (150, 150)
    assert (timed(found, "acknowledgement"), timed(found, "delivery")) == (100, 30 * 100)
    joined = total(found, "delivered") - 30 * 150
    assert 0 <= joined <= 30 * 30, "what else was delivered is who became a member"
    assert found.figures["acknowledged_per_second"] == pytest.approx(100, rel=0.3)
    assert 0 < found.figures["delivery_p50_ms"] <= found.figures["delivery_max_ms"]
    assert found.figures["acknowledgement_p50_ms"] <= found.figures["acknowledgement_p99_ms"]
    assert found.figures["fsync_p50_ms"] > 0
    assert max(second.connections for second in found.seconds) == 30
    assert any(second.server.get("rss_bytes", 0) > 10_000_000 and "cpu" in second.server for second in found.seconds)
    assert any("queue.inboxes" in second.server for second in found.seconds)


async def test_fanout_over_many_rooms(target: Target) -> None:
    found = await play(target, "fanout", rooms=30, rooms_each=10, senders=30, processes=2)
    assert timed(found, "delivery") == 10 * 100


async def test_idle_tells_the_memory_of_a_connection(target: Target) -> None:
    found = await play(target, "idle", connections=100, rooms=10)
    figures = found.figures
    grown = figures["rss_at_all_bytes"] - figures["rss_at_0_bytes"]
    assert figures["bytes_per_connection"] * 100 == pytest.approx(grown)
    assert figures["server_cpu_share"] >= 0
    assert (total(found, "sent"), total(found, "acknowledged")) == (0, 0)


async def test_in_a_storm_all_come_back_and_recover_the_gap(target: Target) -> None:
    found = await play(target, "storm", rooms=3, gap=20, window=0.5, processes=2)
    assert timed(found, "recovery") == 30
    assert total(found, "delivered") >= 30 * 20
    assert 0 < found.figures["recovered_within_seconds"] < 30
    assert found.figures["retries"] == 0


async def test_slow_readers_are_compared_with_none(target: Target) -> None:
    found = await play(target, "slow", rounds=1, stopped=0.1, duration=2, connections=40)
    assert found.figures["stopped_readers"] == 4
    assert found.figures["p99_ratio"] == pytest.approx(
        found.figures["delivery_with_p99_ms"] / found.figures["delivery_without_p99_ms"]
    )
    assert timed(found, "delivery") >= 40 * 100 + 36 * 100


async def test_a_live_room_says_what_share_of_the_comments_was_shown(target: Target) -> None:
    found = await play(target, "live", kind="live", burst=5, rate=60, duration=2, processes=2)
    assert 0 < found.figures["shown_share"] <= 1
    assert total(found, "acknowledged") == 120
    assert total(found, "delivered") + total(found, "skipped") == 30 * 120


async def test_in_groups_people_do_what_people_do(target: Target) -> None:
    found = await play(target, "groups", rooms=10, rooms_each=3, rate=300, duration=2, processes=2)
    assert total(found, "acknowledged") == total(found, "sent") > 150
    assert timed(found, "acknowledgement") == total(found, "sent")
    assert timed(found, "recovery") > 0
    assert timed(found, "delivery") > total(found, "sent")


async def test_soak_fails_where_memory_grows(target: Target) -> None:
    options = Options(
        scenario="soak", connections=10, rooms=2, rooms_each=2, rate=50, duration=4, baseline=1, growth=1e-9
    )
    found = await run(options, target)
    grown = found.figures["rss_growth_share"] > 1e-9
    assert [failure.kind for failure in found.failures] == (["memory"] if grown else [])
    assert found.figures["rss_growth_share"] == pytest.approx(
        found.figures["rss_at_end_bytes"] / found.figures["rss_at_baseline_bytes"] - 1
    )


async def test_whoever_watches_is_shown_every_second_once(target: Target) -> None:
    class Watching:
        def __init__(self) -> None:
            self.seen: list[Second] = []

        def update(self, second: Second, failed: int) -> None:
            self.seen.append(second)

    watching = Watching()
    found = await run(Options(scenario="fanout", connections=3, rate=20, duration=2), target, watching)
    assert watching.seen == found.seconds
    assert [second.at for second in watching.seen] == sorted({second.at for second in watching.seen})


async def test_a_server_that_goes_is_a_failure_with_a_result(tmp_path: Path) -> None:
    with own_server(tmp_path) as target:
        options = Options(scenario="fanout", connections=5, rate=50, duration=60, patience=1)

        class Kill:
            def update(self, second: Second, failed: int) -> None:
                if second.acknowledged and target.pid is not None:
                    with contextlib.suppress(ProcessLookupError):  # it is told twice
                        os.kill(target.pid, signal.SIGKILL)

        found = await run(options, target, Kill())
    assert "lost" in {failure.kind for failure in found.failures}
    assert total(found, "acknowledged") > 0
    assert not found.interrupted


async def test_interrupted_it_still_writes_the_report(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", "fanout", "--connections", "10", "--rate", "50", "--duration", "600",
        "--processes", "2", "--senders", "10", "--warm-up", "0",
        "--folder", str(tmp_path), "--out", str(tmp_path / "out"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while b"acknowledgement" not in await process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    found = merge.load(tmp_path / "out")
    assert found.interrupted
    assert found.failed == 0
    assert timed(found, "delivery") > 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 1_000
    assert os.listdir(tmp_path) == ["out"], "its server's data is gone"
