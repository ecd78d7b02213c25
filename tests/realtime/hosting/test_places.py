import asyncio

import pytest

from realtime import ports
from realtime.hosting.places import RETRY_MS, Places


class Crowd:
    """Whoever has come, and who of them is in; each stays until told to go."""

    def __init__(self, most: int, wait_seconds: float = 60):
        self.waited: list[float] = []
        self.places = Places(most, wait_seconds, self.waited.append)
        self.inside: list[int] = []
        self.out = [asyncio.Event() for _ in range(1_000)]

    def come(self, who: int) -> asyncio.Task[None]:
        async def visit() -> None:
            async with self.places:
                self.inside.append(who)
                await self.out[who].wait()

        return asyncio.create_task(visit())


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_so_many_are_in_and_the_rest_waits_in_order() -> None:
    crowd = Crowd(2)
    visits = [crowd.come(who) for who in range(5)]
    await turns()
    assert (crowd.inside, crowd.places.waiting) == ([0, 1], 3)
    crowd.out[1].set()
    await turns()
    assert crowd.inside == [0, 1, 2]
    for out in crowd.out:
        out.set()
    await asyncio.gather(*visits)
    assert crowd.inside == list(range(5))
    assert (crowd.places.waiting, crowd.places.refused, len(crowd.waited)) == (0, 0, 3)


async def test_between_turns_others_have_theirs() -> None:
    """Visits that wait for nothing are so many a turn of the loop too."""
    places = Places(10, 60, lambda _: None)
    inside = 0
    most = 0

    async def visit() -> None:
        nonlocal inside
        async with places:
            inside += 1

    visits = [asyncio.create_task(visit()) for _ in range(1_000)]
    before = 0
    while before < 1_000:
        await asyncio.sleep(0)
        most, before = max(most, inside - before), inside
    await asyncio.gather(*visits)
    assert most <= 10
    assert places.waiting == 0


async def test_who_waits_too_long_is_told_when_to_come_back() -> None:
    crowd = Crowd(1, 0.02)
    first, second, third = crowd.come(0), crowd.come(1), crowd.come(2)
    outcomes = await asyncio.gather(second, third, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, ports.Unavailable)
        assert RETRY_MS <= outcome.retry_after_ms <= RETRY_MS + 20
    assert (crowd.places.refused, crowd.places.waiting) == (2, 0)
    fourth = crowd.come(3)
    crowd.out[0].set()
    crowd.out[3].set()
    await asyncio.gather(first, fourth)
    assert crowd.inside == [0, 3]


async def test_who_leaves_the_queue_takes_no_place_along() -> None:
    crowd = Crowd(1)
    first, second, third = crowd.come(0), crowd.come(1), crowd.come(2)
    await turns()
    second.cancel()
    await turns()
    crowd.out[0].set()
    await first
    await turns()
    assert crowd.inside == [0, 2]
    # Given a place and gone in the same turn.
    fourth = crowd.come(3)
    await turns()
    crowd.out[2].set()
    await turns(2)
    assert not crowd.places.waiting
    fourth.cancel()
    await asyncio.gather(third, fourth, return_exceptions=True)
    crowd.out[4].set()
    await crowd.come(4)


async def test_who_fails_inside_leaves_the_place() -> None:
    places = Places(1, 60, lambda _: None)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"):
            async with places:
                raise ValueError("inside")
