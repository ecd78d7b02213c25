"""How fast each user may be."""

import pytest

from realtime.brokers.memory_tallies import MemoryTallies
from realtime.hosting.throttle import USERS
from realtime.http.pace import Pace
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
