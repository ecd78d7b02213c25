"""The measurement itself: every message is in the log, and what it took is counted."""

from tests.costs.log import SHAPES, TURNS, measure


async def test_every_message_is_counted() -> None:
    taken = await measure(messages=500, rooms=20, reads=5, characters=120)
    assert list(taken.appends) == list(SHAPES)
    assert taken.messages == TURNS * (2 + 64 + 256)  # whole commits
    for works in (*taken.appends.values(), taken.recoveries, taken.marks):
        assert len(works) == TURNS
        assert all(work.own > 0 and work.per_second > 0 for work in works)
    assert all(work.wal > 120 for works in taken.appends.values() for work in works)
    assert taken.disk["messages"] > 120 * taken.messages
    assert {"keys", "rooms", "users", "outbox"} <= taken.disk.keys()
