"""Deadlines in the wheel: never early, soon after, movable, and none lost."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.gateway.wheel import Wheel


@dataclass(eq=False, slots=True)
class Entry:
    name: str = ""
    due: int = 0
    expirations: int = 0
    expired_event: asyncio.Event = field(default_factory=asyncio.Event)

    def expired(self) -> None:
        self.expirations += 1
        self.expired_event.set()


def wheel_at(now: float, tick: float = 0.25) -> Wheel:
    return Wheel(tick, clock=lambda: now)


def expire(wheel: Wheel, now: float) -> list[Entry]:
    expired = []
    for entry in wheel.advance(now):
        assert isinstance(entry, Entry)
        expired.append(entry)
    return expired


def test_an_entry_expires_once_and_not_before_its_time() -> None:
    wheel, entry = wheel_at(100), Entry()
    wheel.set(entry, 110.1)
    assert expire(wheel, 110.09) == []
    assert expire(wheel, 110.25) == [entry]
    assert expire(wheel, 1000) == []
    assert (entry.due, len(wheel)) == (0, 0)


def test_moving_replaces_the_deadline() -> None:
    wheel, entry = wheel_at(0), Entry()
    wheel.set(entry, 5)
    wheel.set(entry, 10)
    assert len(wheel) == 1
    assert expire(wheel, 9) == []
    wheel.set(entry, 20)
    wheel.set(entry, 15)
    assert expire(wheel, 15) == [entry]


def test_cancelling_is_final_and_may_be_repeated() -> None:
    wheel, entry = wheel_at(0), Entry()
    wheel.cancel(entry)
    wheel.set(entry, 5)
    wheel.cancel(entry)
    wheel.cancel(entry)
    assert expire(wheel, 100) == []


def test_a_time_that_is_past_expires_at_the_next_tick() -> None:
    wheel, entry = wheel_at(100), Entry()
    wheel.set(entry, 3)
    assert expire(wheel, 100) == []
    assert expire(wheel, 100.25) == [entry]


def test_after_counts_from_the_clock() -> None:
    wheel, entry = wheel_at(50), Entry()
    wheel.after(entry, 10)
    assert expire(wheel, 59.9) == []
    assert expire(wheel, 60) == [entry]


def test_what_one_expiry_cancels_or_moves_does_not_expire_with_it() -> None:
    wheel, entries = wheel_at(0), [Entry(str(number)) for number in range(3)]
    for entry in entries:
        wheel.set(entry, 5)
    expiring = wheel.advance(5)
    first = next(expiring)
    assert isinstance(first, Entry)
    moved, cancelled = (entry for entry in entries if entry is not first)
    wheel.set(moved, 6)
    wheel.cancel(cancelled)
    assert list(expiring) == []
    assert expire(wheel, 6) == [moved]


def test_an_entry_set_again_while_it_expires_waits_for_its_new_time() -> None:
    wheel, entry = wheel_at(0), Entry()
    wheel.set(entry, 5)
    for expired in wheel.advance(5):
        wheel.set(expired, 0)
    assert expire(wheel, 5.25) == [entry]


def test_a_long_pause_expires_all_of_it_in_order() -> None:
    wheel = wheel_at(0)
    entries = [Entry(str(number)) for number in range(50)]
    for number, entry in enumerate(entries):
        wheel.set(entry, number * 100)
    assert expire(wheel, 1_000_000) == entries


def test_a_clock_that_stands_still_or_jumps_back_expires_nothing() -> None:
    wheel, entry = wheel_at(100), Entry()
    wheel.set(entry, 101)
    assert expire(wheel, 50) == []
    assert expire(wheel, 101) == [entry]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.floats(0, 300))), max_size=40),
    st.lists(st.floats(0, 120), min_size=1, max_size=20),
)
def test_against_a_plain_list_of_deadlines(changes: list[tuple[int, float | None]], steps: list[float]) -> None:
    wheel, entries = wheel_at(0), [Entry(str(number)) for number in range(10)]
    deadlines: dict[Entry, float] = {}
    now = 0.0
    for step in steps:
        for number, at in changes[:2]:
            entry = entries[number]
            if at is None:
                wheel.cancel(entry)
                deadlines.pop(entry, None)
            else:
                wheel.set(entry, at)
                deadlines[entry] = max(at, now)
        del changes[:2]
        now += step
        for entry in expire(wheel, now):
            assert deadlines.pop(entry) <= now
        # Whatever is still there is not late by more than the tick that rounding and the past may each cost.
        assert all(at > now - 0.5 for at in deadlines.values())
        assert len(wheel) == len(deadlines)


async def test_the_driver_survives_an_entry_that_fails() -> None:
    class Failing(Entry):
        def expired(self) -> None:
            raise ValueError("no")

    wheel = Wheel(tick=0.01)
    failing, entry = Failing(), Entry()
    wheel.after(failing, 0.01)
    wheel.after(entry, 0.05)
    turning = asyncio.create_task(wheel.run())
    await entry.expired_event.wait()
    turning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turning
    assert failing.due == 0
