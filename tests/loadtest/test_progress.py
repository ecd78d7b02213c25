import io
import random

import pytest
from rich.console import Console

from loadtest import histograms
from loadtest.progress import Progress, sparkline
from loadtest.results import Second
from tests.loadtest.runs import packed, second


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=40)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def panel(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(progress)
    return written(console)


def row(text: str, name: str) -> list[str]:
    """What stands behind a name on its line."""
    found = [line.split() for line in text.splitlines() if name in line.split()]
    assert len(found) == 1, text
    return found[0][found[0].index(name) + 1 :]


def plain(*seconds: Second, failed: int = 0) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    with Progress("fanout", 10, console) as progress:
        for one in seconds:
            progress.update(one, failed)
    return written(console).splitlines()


def test_where_no_terminal_is_each_second_is_one_plain_line() -> None:
    chance = random.Random(1)
    lines = plain(*(second(at, chance) for at in range(3)))
    assert [line.split()[:2] for line in lines] == [["1", "s"], ["2", "s"], ["3", "s"]]
    assert not any("\x1b" in line for line in lines)


def test_a_plain_line_says_it_all() -> None:
    shown = Second(
        at=4,
        connections=1_500,
        sent=20,
        delivered=30_000,
        latencies={"delivery": packed([1_000] * 98 + [6_000, 8_000])},
        server={"cpu": 0.834, "rss_bytes": 100 * 2**20, "queue.inbox": 3, "queue.outbox": 40, "queue.rings": 0},
    )
    assert plain(shown, failed=2) == [
        "    5 s  1,500 connections  20 sent/s  30,000 deliveries/s  delivery p50 1.00 p99 6.00 p99.9 8.00 ms  "
        "server 83% of a core  memory 100.0 MiB  queues outbox 40, inbox 3  2 FAILURES"
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert plain(Second(at=0)) == ["    1 s  0 connections  0 sent/s  0 deliveries/s  no failures"]
    assert "queues empty" in plain(Second(at=0, server={"queue.inbox": 0}))[0]


def test_the_panel_tells_the_last_second_from_all_of_them() -> None:
    progress = Progress("fanout", 60, terminal())
    progress.update(Second(at=0, latencies={"delivery": packed([1_000] * 900), "recovery": packed([5_000])}))
    progress.update(Second(at=1, delivered=1_234, latencies={"delivery": packed([8_000] * 100)}), failed=3)
    text = panel(progress)
    assert row(text, "delivery")[:6] == ["8.00", "8.00", "8.00", "1.00", "8.00", "8.00"]
    assert row(text, "recovery")[:6] == ["–", "–", "–", "5.00", "5.00", "5.00"]
    assert row(text, "deliveries")[:2] == ["1,234/s", "▁█"]
    assert row(text, "failures")[0] == "3"
    assert "loadtest fanout" in text
    assert "2 s, 58 s left" in text


def test_the_whole_runs_percentiles_are_of_all_seconds_together() -> None:
    chance = random.Random(3)
    progress = Progress("fanout", 60, terminal())
    seconds = [second(at, chance) for at in range(20)]
    for one in seconds:
        progress.update(one)
    whole = histograms.total(one.latencies["delivery"] for one in seconds)
    expected = [f"{value:,.2f}" for value in histograms.milliseconds(whole, [50.0, 99.0, 99.9])]
    assert row(panel(progress), "delivery")[3:6] == expected


@pytest.mark.parametrize(
    ("at", "said"), [(4, "5 s, 9 s left"), (12, "13 s, 1 s left"), (13, "14 s, waiting for"), (20, "21 s, waiting for")]
)
def test_what_is_measured_begins_with_the_first_latency(at: int, said: str) -> None:
    progress = Progress("fanout", 10, terminal())
    progress.update(Second(at=3, connections=7))
    assert "4 s " in panel(progress)
    assert "left" not in panel(progress)
    progress.update(Second(at=4, latencies={"delivery": packed([1])}))
    progress.update(Second(at=at))
    assert said in panel(progress)


def test_before_the_first_second_there_is_a_panel_too() -> None:
    assert "0 s " in panel(Progress("idle", 10, terminal()))


def test_the_panel_keeps_what_was_last_seen_of_the_server() -> None:
    progress = Progress("fanout", 10, terminal())
    progress.update(Second(at=0, server={"cpu": 0.42}))
    progress.update(Second(at=1))
    assert row(panel(progress), "server")[0] == "42%"


def test_deliveries_stand_before_other_latencies() -> None:
    progress = Progress("fanout", 10, terminal())
    progress.update(Second(at=0, latencies={"acknowledgement": packed([1_000]), "delivery": packed([2_000])}))
    text = panel(progress)
    assert text.index("delivery") < text.index("acknowledgement ")
    assert "2.00 ms" in text


def test_a_terminal_gets_the_panel_each_second_and_its_cursor_back() -> None:
    console = terminal()
    shown = []

    def interrupted() -> None:
        with Progress("fanout", 10, console) as progress:
            for at, delivered in enumerate((111, 222)):
                progress.update(Second(at=at, delivered=delivered))
                shown.append(f"{delivered}/s" in written(console))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert shown == [True, True]
    assert written(console).rfind("\x1b[?25h") > written(console).rfind("\x1b[?25l") >= 0


def test_names_from_the_server_cannot_steer_the_terminal() -> None:
    hostile = Second(at=0, server={"queue.\x1b[2J[red]x": 5}, latencies={"\x1b]0;owned\x07": packed([1])})
    progress = Progress("fanout", 10, terminal())
    progress.update(hostile)
    for text in (panel(progress), *plain(hostile)):
        assert "\x1b" not in text
        assert "[red]x 5" in text


def test_many_queues_hide_nothing_else() -> None:
    progress = Progress("fanout", 10, terminal())
    queues = {f"queue.a_long_name_{i}": 1e6 for i in range(9)}
    for at in range(40):
        progress.update(Second(at=at, delivered=1_000_000 if at == 39 else 0, server=queues))
    text = panel(progress)
    assert row(text, "deliveries")[:2] == ["1,000,000/s", "▁" * 23 + "█"]
    assert row(text, "memory")[0] == "–"
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_narrow_terminal_is_enough() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=50, height=40, color_system=None)
    progress = Progress("fanout", 10, console)
    progress.update(second(0, random.Random(1)))
    console.print(progress)
    assert max(len(line) for line in written(console).splitlines()) <= 50


def test_sparkline_goes_from_nothing_to_the_most() -> None:
    assert sparkline([0, 1, 7]) == "▁▂█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
