"""Rounds: what many rooms decide at the same time is one work of the store, and each room's affair all the same."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, By
from rooms.errors import Rejected
from tests.support.service import make_service

ANN = Actor(user="ann", name="Ann", admin=True)
ROOMS = [f"r{i}" for i in range(20)]


class Counting:
    """A store that notes of which rooms each work is; the rooms in `broken` fail by their own fault."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.works: list[list[str]] = []
        self.broken: set[str] = set()
        self.slow: set[str] = set()
        """Rooms of a lane of their own."""
        self.hold_slow = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def lane(self, room: str) -> int:
        return int(room in self.slow)

    async def append_all(self, batches: Sequence[ports.Batch]) -> Sequence[ports.Appended | Exception]:
        self.works.append([batch.room for batch in batches])
        await self.hold.wait()
        if batches[0].room in self.slow:
            await self.hold_slow.wait()
        whole = [batch for batch in batches if batch.room not in self.broken]
        written = iter(await self._store.append_all(whole))
        return [ValueError("broken") if batch.room in self.broken else next(written) for batch in batches]

    async def find(self, room: str, **wanted: Any) -> Any:
        await self.hold.wait()
        return await self._store.find(room, **wanted)


class House:
    def __init__(self, folder: Path):
        clock = itertools.count(1_700_000_000_000).__next__
        self.store = Counting(SQLiteStore(folder / "galaxy.db", clock))
        self.corked = False
        self.answered = asyncio.Event()
        self.log: list[tuple[str, bool]] = []
        store: Any = self.store
        self.service: Service = make_service(store, clock, answering=self)

    def __enter__(self) -> None:
        self.corked = True

    def __exit__(self, *_: object) -> None:
        self.corked = False

    async def furnish(self) -> None:
        await self.store.open()
        for room in ROOMS:
            await self.service.answer(ANN, c.RoomCreate(kind="group", title="Room", visibility="public", room=room))
            await self.service.directory.enter(room, ANN)
        self.store.works.clear()

    def send(self, room: str, text: str = "hello") -> list[Any]:
        """What the command is answered, in time."""
        answers: list[Any] = []
        command = c.MessageSend(room=room, text=text)
        host = self.service.at_hand(ANN, command)
        assert host is not None

        def answer(reply: Any) -> None:
            answers.append(reply)
            self.log.append((room, self.corked))
            self.answered.set()

        self.service.submit_to(host, ANN, command, object(), answer)
        return answers


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    house.store.hold.set()
    await house.service.close()


async def test_rooms_that_ask_together_are_written_together(house: House) -> None:
    answers = [house.send(room) for room in ROOMS]
    await house.service.settle()
    assert house.store.works == [ROOMS]
    assert [answer[0]["pos"] for answer in answers] == [2] * len(ROOMS)


async def test_what_comes_while_a_room_is_written_is_its_next_batch_and_other_rooms_need_not_wait(house: House) -> None:
    house.store.hold.clear()
    house.send("r0", "one")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    house.send("r0", "two")
    house.send("r0", "three")
    house.send("r1")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert house.store.works == [["r0"], ["r1"]]
    house.store.hold.set()
    await house.service.settle()
    assert house.store.works == [["r0"], ["r1"], ["r0"]]
    events = await house.store.events("r0", after=1, to=10, limit=10)
    assert [event.message.text for event in events] == ["one", "two", "three"]


async def test_rooms_of_a_lane_that_is_slow_make_those_of_another_wait_for_nothing(house: House) -> None:
    house.store.slow = {"r0", "r1"}
    answers = {room: house.send(room) for room in ROOMS}
    async with asyncio.timeout(10):
        while not all(answers[room] for room in ROOMS[2:]):
            house.answered.clear()
            await house.answered.wait()
    assert house.store.works == [["r0", "r1"], ROOMS[2:]]
    assert not answers["r0"]
    assert not answers["r1"]
    house.store.hold_slow.set()
    await house.service.settle()
    assert answers["r0"][0]["pos"] == answers["r1"][0]["pos"] == 2


async def test_a_room_that_fails_fails_alone_and_goes_on_from_the_log(house: House) -> None:
    house.store.broken = {"r3"}
    answers = {room: house.send(room) for room in ROOMS}
    await house.service.settle()
    failed = answers.pop("r3")[0]
    assert isinstance(failed, Rejected)
    assert failed.code == "internal"
    assert all(answer[0]["pos"] == 2 for answer in answers.values())
    house.store.broken.clear()
    again = house.send("r3", "again")
    await house.service.settle()
    assert again[0]["pos"] == 2


async def test_a_room_that_has_to_look_something_up_holds_up_no_other(house: House) -> None:
    house.store.hold.clear()
    asking = house.send("r0", "@ann hello")
    await asyncio.sleep(0)
    house.store.hold.set()
    other = house.send("r1")
    await house.service.settle()
    assert house.store.works == [["r1"], ["r0"]]
    assert asking[0]["pos"] == other[0]["pos"] == 2


async def test_all_are_answered_within_before_anybody_hears_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(room: str, *_: Any, **__: Any) -> None:
        house.log.append((f"{room} published", house.corked))

    monkeypatch.setattr(house.service.hub, "publish", publish)
    for room in ROOMS:
        house.send(room)
    await house.service.settle()
    assert house.log == [(room, True) for room in ROOMS] + [(f"{room} published", False) for room in ROOMS]


async def test_who_cannot_be_answered_or_told_harms_no_other_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def publish(room: str, *_: Any, **__: Any) -> None:
        if room == "r2":
            raise ValueError("a fault of the hub")
        told.append(room)

    def answer(_: Any) -> None:
        raise ValueError("a fault of the connection")

    monkeypatch.setattr(house.service.hub, "publish", publish)
    host = house.service.directory.hosts["r1"]
    house.service.submit_to(host, ANN, c.MessageSend(room="r1", text="unanswered"), object(), answer)
    answers = [house.send(room) for room in ("r2", "r3")]
    await house.service.settle()
    assert [answer[0]["pos"] for answer in answers] == [2, 2]
    assert told == ["r1", "r3"]
    again = house.send("r2")
    await house.service.settle()
    assert again[0]["pos"] == 3


async def test_one_who_is_renamed_while_a_batch_is_written_keeps_the_new_name(house: House) -> None:
    house.store.hold.clear()
    house.send("r0", "one")
    house.send("r0", "two")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    host = house.service.directory.hosts["r0"]
    host.renamed(By("ann", "Anna", "member"))
    house.store.hold.set()
    await house.service.settle()
    person = host.room.person("ann")
    assert host.room.pos == 3
    assert person is not None
    assert person.name == "Anna"
