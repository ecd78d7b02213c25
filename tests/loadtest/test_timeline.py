import pytest

from loadtest.results import Second
from loadtest.timeline import timeline
from tests.loadtest.runs import packed


def test_a_short_run_has_a_point_a_second() -> None:
    points = timeline([Second(at=at, delivered=at * 10) for at in range(5)])
    assert [(point.at, point.delivered) for point in points] == [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]


def test_a_long_run_has_no_more_points_than_asked_for_and_loses_nothing() -> None:
    seconds = [Second(at=at, delivered=at % 7, latencies={"delivery": packed([at + 1])}) for at in range(1_001)]
    points = timeline(seconds, 100)
    assert len(points) == 91
    assert sum(point.latencies["delivery"].total_count for point in points) == 1_001
    assert sum(point.delivered for point in points[:-1]) * 11 == pytest.approx(sum(at % 7 for at in range(990)))


def test_rates_are_means_and_queues_at_their_deepest() -> None:
    seconds = [
        Second(at=0, connections=4, sent=1, acknowledged=3, skipped=5, server={"cpu": 0.2, "queue.inbox": 9}),
        Second(at=1, connections=6, sent=3, acknowledged=5, skipped=7, server={"cpu": 0.4, "queue.inbox": 1}),
    ]
    (point,) = timeline(seconds, 1)
    assert (point.at, point.connections, point.sent, point.acknowledged, point.skipped) == (0.5, 5, 2, 4, 6)
    assert point.server == pytest.approx({"cpu": 0.3, "queue.inbox": 9})


def test_a_hole_in_the_seconds_stays_one() -> None:
    assert [point.at for point in timeline([Second(at=2), Second(at=50)])] == [2, 50]


def test_nothing_has_no_points() -> None:
    assert timeline([]) == []
