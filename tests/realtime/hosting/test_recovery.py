"""However many come back to a room, its log is read once; and a store that fails harms nobody for longer than that."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.hosting.host import Host
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, Role, Viewer
from rooms.events import Logged
from tests.support.forms import JSON_LINES
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner", admin=True)
GUEST = Viewer("guest", Role.NONE)
WAIT = 10


class Gated:
    """A store whose reads of the log wait until they are let through; `asked` has the stretches."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.asked: list[tuple[int, int]] = []
        self.gate = asyncio.Event()
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        self.asked.append((after, to))
        await self.gate.wait()
        if self.broken:
            raise ports.Unavailable("broken", 700)
        return await self._store.events(room, after=after, to=to, limit=limit)


class House:
    """A room with 20 messages, at position 21, and no ring."""

    def __init__(self, folder: Path):
        clock = itertools.count(1_700_000_000_000).__next__
        self.store = Gated(SQLiteStore(folder / "galaxy.db", clock))
        store: Any = self.store
        self.service: Service = make_service(store, clock)
        self.rings = self.service.rings
        self.recovery = self.service.recovery

    async def furnish(self) -> None:
        await self.store.open()
        await self.service.answer(OWNER, c.RoomCreate(kind="live", title="R", visibility="public", room="r"))
        for number in range(20):
            await self.service.answer(OWNER, c.MessageSend(room="r", text=f"message {number}"))

    @property
    def host(self) -> Host:
        return self.service.directory.hosts["r"]

    def reach(self, after: int) -> asyncio.Task[None]:
        return asyncio.create_task(self.recovery.reach(self.host, after, GUEST))

    def past(self, after: int) -> list[int]:
        assert self.recovery.at_hand(self.host, after, GUEST)
        return [event["pos"] for event in self.recovery.past(self.host, after, GUEST, JSON_LINES)]

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(WAIT):
            while len(self.store.asked) < times:  # noqa: ASYNC110 - it happens in another task, which tells nobody
                await asyncio.sleep(0.001)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    house.store.gate.set()
    await house.service.close()


async def test_a_thousand_share_one_read_of_the_widest_stretch(house: House) -> None:
    waiting = [house.reach(5 + number % 10) for number in range(1_000)]
    house.store.gate.set()
    await asyncio.gather(*waiting)
    assert house.store.asked == [(5, 21)]
    assert house.past(5) == list(range(6, 22))
    assert (house.rings.counters.waits, house.rings.counters.reads) == (1_000, 1)
    await house.reach(9)
    assert len(house.store.asked) == 1


async def test_who_wants_more_than_is_being_read_gets_the_rest_of_it(house: House) -> None:
    waiting = [house.reach(15)]
    await house.asked(1)
    waiting += [house.reach(12), house.reach(3), house.reach(16)]
    house.store.gate.set()
    await asyncio.gather(*waiting)
    assert house.store.asked == [(15, 21), (3, 15)]
    assert house.past(3) == list(range(4, 22))


async def test_a_failure_is_for_those_who_wait_and_for_nobody_after(house: House) -> None:
    house.store.broken = True
    waiting = [house.reach(5) for _ in range(100)]
    await house.asked(1)
    house.store.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ports.Unavailable}
    assert {outcome.retry_after_ms for outcome in outcomes if isinstance(outcome, ports.Unavailable)} == {700}
    assert len({id(outcome) for outcome in outcomes}) == 100
    house.store.broken = False
    await house.reach(5)
    assert house.past(5) == list(range(6, 22))
    ring = house.rings.get("r")
    assert ring is not None
    assert (ring.waiting, ring.noted) == (0, None)


async def test_who_leaves_takes_the_read_from_nobody(house: House) -> None:
    leaving, staying = house.reach(5), house.reach(5)
    await house.asked(1)
    leaving.cancel()
    house.store.gate.set()
    await staying
    assert house.past(5) == list(range(6, 22))


async def test_a_ring_that_goes_while_it_is_read_for_harms_nobody(house: House) -> None:
    waiting = house.reach(5)
    await house.asked(1)
    house.rings.drop("r")
    house.store.gate.set()
    await waiting
    assert not house.recovery.at_hand(house.host, 5, GUEST)
    await house.reach(5)
    assert house.past(5) == list(range(6, 22))


async def test_more_than_a_ring_holds_is_not_asked_for_again_and_again(house: House) -> None:
    house.rings.events = 10
    house.store.gate.set()
    await house.reach(2)
    assert house.store.asked == [(2, 21)]
    assert not house.recovery.at_hand(house.host, 2, GUEST)
    assert house.past(11) == list(range(12, 22))


async def test_a_room_that_goes_on_meanwhile_is_recovered_to_its_end(house: House) -> None:
    waiting = house.reach(15)
    await house.asked(1)
    await house.service.answer(OWNER, c.MessageSend(room="r", text="meanwhile"))
    house.store.gate.set()
    await waiting
    assert house.past(15) == list(range(16, 23))
