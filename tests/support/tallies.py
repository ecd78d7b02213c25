"""Tallies as a test asks them."""

import asyncio
from collections.abc import Mapping

import pytest

from realtime.brokers import redis_tallies
from realtime.ports import Tallies
from rooms.ids import Millis

WAIT = 20.0


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer comes too late from now on, however slow the machine is: for tests of something else."""
    monkeypatch.setattr(redis_tallies, "ANSWER_SECONDS", WAIT)
    monkeypatch.setattr(redis_tallies, "PIPELINE_SECONDS", WAIT)


async def until_up(tallies: Tallies) -> None:
    async with asyncio.timeout(WAIT):
        while not tallies.up:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


async def until_held(tallies: Tallies, name: str, total: int) -> Mapping[str, int]:
    """The counts by node, once they are so many together."""
    async with asyncio.timeout(WAIT):
        while sum((held := (await tallies.held([name])).get(name, {})).values()) != total:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return held


async def acted(tallies: Tallies, name: str, window_ms: Millis) -> tuple[int, Millis]:
    """Does it once more. Returns what is told: how often it was done, and when the window ends."""
    answer: asyncio.Future[tuple[int, Millis]] = asyncio.get_running_loop().create_future()
    tallies.act(name, window_ms, lambda total, left: answer.set_result((total, left)))
    async with asyncio.timeout(WAIT):
        return await answer
