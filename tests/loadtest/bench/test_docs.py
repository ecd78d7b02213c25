from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtest.bench import docs
from loadtest.bench.results import Bench, Configuration, read
from loadtest.peers.peer import Failed
from loadtest.sections import marks
from tests.loadtest.bench.made import bench, comparison

BEGIN, END = marks(docs.SECTION)
WIDE = Configuration(window=16, subscribers=100)
FOUND = bench(
    comparison("nats", 1.5e5, 1e5),
    comparison("floor", 1.5e5, 2.5e5, client_cpu=0.97),
    comparison("nats", 2.5e6, 1e6, Configuration(window=16)),
    comparison("nats", 3e6, 1e6, WIDE),
    comparison("nats", 3e4, 6e4, Configuration(subscribers=50, each=10, window=4)),
)


def test_only_what_is_between_the_marks_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n# After\n")
    docs.write(FOUND, tmp_path)
    once = page.read_text()
    assert once.startswith(f"# Before\n\n{BEGIN}\n## Beside other servers\n")
    assert once.endswith(f"{END}\n\n# After\n")
    assert "old" not in once
    docs.write(FOUND, tmp_path)
    assert page.read_text() == once


@pytest.mark.parametrize("text", ["nothing", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_the_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "performance.md"
    page.write_text(text)
    with pytest.raises(Failed, match=r"performance\.md has no <!-- bench:begin -->"):
        docs.write(FOUND, tmp_path)
    assert page.read_text() == text
    assert list(tmp_path.iterdir()) == [page]


def test_the_section_says_what_was_measured_where_and_how() -> None:
    text = docs.section(FOUND, [])
    for said in ("`python -m loadtest.bench --quick`", "2026-11-22 22:00:00 UTC", "a machine, 2 cores", "3 minutes"):
        assert said in text
    assert "Versions: galaxy-live (0.1.0), nats-server (2.9.10)." in text
    assert "Left out: Much." in text


def test_a_table_has_a_row_a_server_and_window() -> None:
    (title, same), *_ = docs.groups(FOUND.comparisons[:3])
    assert title == "1,000 subscribers of one room, 120 characters, JSON"
    assert docs.table(same).splitlines() == [
        "| in flight | server | deliveries/s | server's µs a delivery | p50 ms | p99 ms | ours ÷ it | pairs |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
        "| 1 | **galaxy-live** | 150 k | 5.00 | 1.25 | 2.50 | | |",
        "| 1 | nats-server | 100 k | 5.00 | 1.25 | 2.50 | 1.50 (1.43 to 1.58) | 3 |",
        "| 1 | bare send() loop | 250 k † | 5.00 | 1.25 | 2.50 | 0.60 (0.57 to 0.63) | 3 |",
        "| 16 | **galaxy-live** | 2.5 M | 5.00 | 1.25 | 2.50 | | |",
        "| 16 | nats-server | 1 M | 5.00 | 1.25 | 2.50 | 2.50 (2.38 to 2.63) | 3 |",
        "",
        "† the load generator used 95% of its core or more: the server may be faster.",
    ]


def test_rooms_of_ten_have_their_own_table() -> None:
    titles = [title for title, _ in docs.groups(FOUND.comparisons)]
    assert titles[-1] == "50 rooms of 10, over 50 connections, 120 characters, JSON"
    assert len(titles) == 3


def test_targets_are_met_missed_or_not_measured() -> None:
    lines = docs.targets(FOUND).splitlines()
    assert "| 1,000 subscribers, 1 in flight | nats-server | 1.3 × | 1.50 (1.43 to 1.58) | met |" in lines
    assert "| 1,000 subscribers, 1 in flight | bare send() loop | 0.8 × | 0.60 (0.57 to 0.63) | **missed** |" in lines
    assert "| 1,000 subscribers, 1 in flight | uWebSockets | 1 × | not measured |  |" in lines
    assert "| 10,000 rooms of 10, 256 in flight | the best peer | 0.8 × | not measured |  |" in lines


def test_pictures_are_drawn_for_what_there_is(tmp_path: Path) -> None:
    def shown(found: Bench) -> set[str]:
        (tmp_path / "performance.md").write_text(BEGIN + END)
        docs.write(found, tmp_path)
        text = (tmp_path / "performance.md").read_text()
        drawn = {path.name for path in (tmp_path / "pictures").iterdir()}
        assert all(f"(pictures/{name})" in text for name in drawn)
        return drawn

    assert shown(FOUND) == {"bench-windows.svg", "bench-subscribers.svg", "bench-targets.svg"}
    assert "nats-server" in "".join(ET.parse(tmp_path / "pictures" / "bench-targets.svg").getroot().itertext())  # noqa: S314 - our own
    assert shown(bench(FOUND.comparisons[-1])) == set()


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    FOUND.write(tmp_path / "bench.json")
    assert read(tmp_path / "bench.json") == FOUND
