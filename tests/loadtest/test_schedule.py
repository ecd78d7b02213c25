"""When what is sent, and by whom: fixed beforehand, the same in every process."""

from collections import Counter
from itertools import pairwise

import pytest

from loadtest.options import Options
from loadtest.people import HABITS, deeds
from loadtest.rooms import rooms_of, senders_of
from loadtest.schedule import BURST_SECONDS, PERIOD, SECOND, Schedule, share, turns, zipf


def test_without_bursts_all_are_equally_far_apart() -> None:
    schedule = Schedule(start=5 * SECOND, rate=200, count=1_000)
    moments = [schedule.due(i) for i in range(1_000)]
    assert moments[0] == 5 * SECOND
    assert all(b - a == pytest.approx(SECOND / 200, abs=2) for a, b in pairwise(moments))
    assert schedule.end == moments[-1]


def test_in_a_burst_more_is_sent_and_the_average_stays() -> None:
    schedule = Schedule(start=0, rate=100, count=3_000, burst=4)
    moments = [schedule.due(i) / SECOND for i in range(3_000)]
    assert moments == sorted(moments)
    assert Counter(int(moment // PERIOD) for moment in moments) == {0: 1_000, 1: 1_000, 2: 1_000}
    assert sum(moment % PERIOD < BURST_SECONDS for moment in moments) == 3 * 4 * 100 * BURST_SECONDS


def test_a_burst_may_hold_all_there_is() -> None:
    schedule = Schedule(start=0, rate=10, count=200, burst=PERIOD / BURST_SECONDS)
    assert all(schedule.due(i) / SECOND % PERIOD < BURST_SECONDS for i in range(200))


def test_the_processes_share_all_connections() -> None:
    parts = [share(10, 3, index) for index in range(3)]
    assert [number for part in parts for number in part] == list(range(10))
    assert {len(part) for part in parts} == {3, 4}


def test_senders_take_turns_or_some_say_far_more() -> None:
    assert Counter(turns(100, 10, None, 1)) == dict.fromkeys(range(10), 10)
    said = Counter(turns(10_000, 10, zipf(10), 1))
    assert said[0] == pytest.approx(2 * said[1], rel=0.15)
    assert said[0] == pytest.approx(10 * said[9], rel=0.3)
    assert list(turns(50, 10, zipf(10), 7)) == list(turns(50, 10, zipf(10), 7)) != list(turns(50, 10, zipf(10), 8))


def test_rooms_of_one_size_share_their_people_evenly() -> None:
    options = Options(scenario="fanout", connections=1_000, rooms=1_000, rooms_each=10)
    joined = [rooms_of(options, number) for number in range(1_000)]
    assert all(len(set(rooms)) == 10 for rooms in joined)
    assert set(Counter(room for rooms in joined for room in rooms).values()) == {10}
    one = Options(scenario="fanout", connections=50, senders=5)
    assert {tuple(rooms_of(one, number)) for number in range(50)} == {(0,)}
    assert senders_of(one) == [0, 10, 20, 30, 40]


def test_groups_are_of_very_different_sizes() -> None:
    options = Options(scenario="groups", connections=500, rooms=100, rooms_each=5)
    joined = [rooms_of(options, number) for number in range(500)]
    assert all(len(set(rooms)) == 5 for rooms in joined)
    sizes = Counter(room for rooms in joined for room in rooms)
    assert sizes[0] > 5 * sizes[20] > 0
    assert joined == [rooms_of(options, number) for number in range(500)]


def test_people_do_each_of_their_habits_as_often_as_is_said() -> None:
    done = list(deeds(20_000, 40, seed=3))
    assert sum(HABITS.values()) == 100
    for habit, percent in HABITS.items():
        assert sum(deed.what == habit for deed in done) == pytest.approx(200 * percent, rel=0.2)
    assert {deed.number for deed in done} == set(range(40))
    assert done == list(deeds(20_000, 40, seed=3))
