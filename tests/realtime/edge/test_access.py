"""Answers about recordings are kept for a moment, and not beyond it."""

import pytest

from realtime.edge.access import REPLAY_KEPT_SECONDS, Access
from realtime.edge.passes import Passes
from relay.ports import Bearer, Refused
from tests.realtime.edge.test_edge import Everybody


async def test_answers_whose_time_is_over_are_forgotten() -> None:
    now = 0.0
    access = Access(Passes(b"secret"), Everybody(), lambda: 0, lambda: now)
    for number in range(1_000):
        await access.may_replay("r1", "film", Bearer(f"u{number}"))
    assert len(access._replays) == 1_000
    now = REPLAY_KEPT_SECONDS
    await access.may_replay("r1", "film", Bearer("last"))
    assert len(access._replays) == 1


async def test_they_are_kept_no_longer_where_the_clock_is_set_back() -> None:
    gateway, clock, now, bob = Everybody(), 3_600_000, 0.0, Bearer("bob")
    access = Access(Passes(b"secret"), gateway, lambda: clock, lambda: now)
    await access.may_replay("r1", "film", bob)
    gateway.banned.add("bob")
    await access.may_replay("r1", "film", bob)
    clock, now = 0, REPLAY_KEPT_SECONDS
    with pytest.raises(Refused, match="No such recording"):
        await access.may_replay("r1", "film", bob)
