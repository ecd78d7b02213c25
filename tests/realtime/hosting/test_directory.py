"""Who enters a room that goes on meanwhile is known as they are, not as they were."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.stores import reads
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, Role
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner", admin=True)
BOB = Actor(user="bob", name="Bob")


class Meanwhile:
    """A store that does something, each time, between reading who may see a room and saying so."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.acts: list[Callable[[], Awaitable[Any]]] = []
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def accesses(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], ports.Access]:
        self.asked += 1
        found = await self._store.accesses(asked)
        if self.acts:
            await self.acts.pop(0)()
        return found


class House:
    """A public room that remembers nobody it need not."""

    def __init__(self, folder: Path):
        clock = itertools.count(1_700_000_000_000).__next__
        self.store = Meanwhile(SQLiteStore(folder / "galaxy.db", clock))
        store: Any = self.store
        self.service = make_service(store, clock)

    async def furnish(self) -> None:
        await self.store.open()
        await self.do(c.RoomCreate(kind="group", title="R", visibility="public", room="r"))
        await self.service.answer(BOB, c.MemberJoin(room="r"))
        self.service.directory.hosts.clear()
        await self.service.directory.enter("r", OWNER)
        self.store.asked = 0

    async def do(self, command: Any) -> dict[str, Any]:
        return await self.service.answer(OWNER, command)

    async def say(self) -> None:
        await self.do(c.MessageSend(room="r", text="hello"))


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(reads, "ALL_PEOPLE", 0)
    house = House(tmp_path)
    await house.furnish()
    yield house
    await house.service.close()


async def test_a_busy_room_need_not_rest_for_somebody_to_enter(house: House) -> None:
    house.store.acts = [house.say] * 50
    host = await house.service.directory.enter("r", BOB)
    assert host.room.role(BOB) is Role.MEMBER
    assert house.store.asked <= 2


async def test_what_happens_to_them_meanwhile_counts(house: House) -> None:
    host = house.service.directory.hosts["r"]
    members = host.room.members
    house.store.acts = [house.say, lambda: house.do(c.MemberMute(room="r", user="bob", seconds=60))]
    await house.service.directory.enter("r", BOB)
    person = host.room.person("bob")
    assert person is not None
    assert person.muted_until > 0
    assert host.room.members == members


async def test_who_leaves_meanwhile_is_no_member(house: House) -> None:
    host = house.service.directory.hosts["r"]
    members = host.room.members
    house.store.acts = [lambda: house.do(c.MemberKick(room="r", user="bob"))]
    await house.service.directory.enter("r", BOB)
    assert host.room.role(BOB) is Role.NONE
    assert host.room.members == members - 1


async def test_a_room_whose_log_has_gone_on_without_it_catches_up(house: House) -> None:
    """As after a commit whose answer was lost: nobody who comes may wait for the next command."""
    elsewhere = make_service(house.store, itertools.count(1_700_000_100_000).__next__)
    for _ in range(3):
        await elsewhere.answer(OWNER, c.MessageSend(room="r", text="unheard of"))
    async with asyncio.timeout(10):
        host = await house.service.directory.enter("r", BOB)
    assert host.room.pos == 5
    assert host.room.role(BOB) is Role.MEMBER
