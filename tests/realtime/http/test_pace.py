"""How fast each user may be."""

import asyncio

import pytest

from realtime.brokers.memory_tallies import MemoryCounts, MemoryTallies
from realtime.hosting.throttle import USERS
from realtime.http.pace import SHARED_SECONDS, Pace
from rooms.errors import Rejected


def test_a_burst_then_a_rate() -> None:
    pace = Pace(2, 3, MemoryTallies(), "requests")
    for _ in range(3):
        pace.check("ann", 1_000)
    with pytest.raises(Rejected) as refused:
        pace.check("ann", 1_000)
    assert (refused.value.code, refused.value.retry_after_ms) == ("rate_limited", 500)
    pace.check("ann", 1_500)
    pace.check("bob", 1_000)


def test_no_rate_is_no_limit() -> None:
    pace = Pace(0, 1, MemoryTallies(), "requests")
    for _ in range(1_000):
        pace.check("ann", 1_000)


def test_only_so_many_users_are_remembered_the_busy_ones() -> None:
    pace = Pace(1, 1, MemoryTallies(), "requests")
    pace.check("ann", 1_000)
    for n in range(USERS + 10):
        pace.check(f"u{n}", 1_000)
        with pytest.raises(Rejected):
            pace.check("ann", 1_000)
    assert len(pace._buckets) == USERS


async def test_several_nodes_let_through_no_more_than_one_would_for_long() -> None:
    counts = MemoryCounts()
    nodes = [Pace(2, 3, MemoryTallies(name, counts), "requests") for name in ("a", "b")]
    passed = 0
    for now in range(1_700_000_000_000, 1_700_000_010_000, 100):
        for node in nodes:
            try:
                node.check("ann", now)
                passed += 1
            except Rejected as refused:
                assert refused.code == "rate_limited"
            await asyncio.sleep(0)
    assert 3 + 2 * SHARED_SECONDS <= passed <= 4 + 2 * SHARED_SECONDS


def test_one_node_alone_is_held_up_by_its_own_rate_only() -> None:
    counts = MemoryTallies()
    pace = Pace(2, 3, counts, "requests")
    for _ in range(3):
        pace.check("ann", 1_000)
    for now in range(1_500, 60_000, 500):
        pace.check("ann", now)
