"""Answers about recordings are kept for a moment, and not beyond it."""

from realtime.edge.access import REPLAY_KEPT_MS, Access
from realtime.edge.passes import Passes
from relay.ports import Bearer
from tests.realtime.edge.test_edge import Everybody


async def test_answers_whose_time_is_over_are_forgotten() -> None:
    now = 0
    access = Access(Passes(b"secret"), Everybody(), lambda: now)
    for number in range(1_000):
        await access.may_replay("r1", "film", Bearer(f"u{number}"))
    assert len(access._replays) == 1_000
    now = REPLAY_KEPT_MS
    await access.may_replay("r1", "film", Bearer("last"))
    assert len(access._replays) == 1
