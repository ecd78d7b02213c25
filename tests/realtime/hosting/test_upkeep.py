"""What is told by the clock: of reactions in live rooms the counts, a bounded number of them at a time."""

import itertools
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from realtime.hosting import aftermath as aftermath_module
from realtime.hosting import upkeep as upkeep_module
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner")
CROWD = [Actor(user=f"u{i}", name=f"U{i}") for i in range(5)]


class House:
    """A live room with somebody listening; `told` is what is published there."""

    def __init__(self, folder: Path):
        self.clock = itertools.count(1_700_000_000_000).__next__
        self.service = make_service(SQLiteStore(folder / "galaxy.db", self.clock), self.clock)
        self.told: list[Any] = []

    async def furnish(self) -> None:
        await self.service.store.open()
        made = await self.service.answer(OWNER, c.RoomCreate(kind="live", title="Live", visibility="public"))
        self.room: str = made["room"].id
        self.service.hub.channel(self.room, "epoch")

    async def comment(self) -> int:
        return int((await self.service.answer(OWNER, c.MessageSend(room=self.room, text="hello")))["pos"])

    async def react(self, actor: Actor, target: int, emoji: str) -> None:
        await self.service.answer(actor, c.MessageReact(room=self.room, target=target, emoji=emoji))

    async def tick(self) -> list[Any]:
        """What a tick tells."""
        await self.service._upkeep._announce_reactions()
        told, self.told[:] = list(self.told), []
        return told


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()

    def publish(room: str, events: Iterable[object], **options: object) -> None:
        house.told.extend(event for event in events if isinstance(event, dict))

    monkeypatch.setattr(house.service.hub, "publish", publish)
    yield house
    await house.service.close()


async def test_reactions_of_a_tick_are_one_event_with_their_counts(house: House) -> None:
    pos = await house.comment()
    for actor in CROWD:
        await house.react(actor, pos, "🔥")
    await house.react(OWNER, pos, "🎉")
    assert house.told == []
    assert await house.tick() == [
        {"type": "reactions", "room": house.room, "target": pos, "counts": {"🔥": len(CROWD), "🎉": 1}}
    ]
    assert await house.tick() == []


async def test_so_many_messages_a_tick_and_the_others_in_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "REACTIONS_A_TICK", 2)
    targets = [await house.comment() for _ in range(3)]
    for target in targets:
        await house.react(CROWD[0], target, "🔥")
    assert [event["target"] for event in await house.tick()] == targets[:2]
    assert [event["target"] for event in await house.tick()] == targets[2:]


async def test_what_waits_to_be_told_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath_module, "REACTED", 2)
    targets = [await house.comment() for _ in range(3)]
    for target in targets:
        await house.react(CROWD[0], target, "🔥")
    assert [event["target"] for event in await house.tick()] == targets[1:]
    await house.react(CROWD[1], targets[0], "🔥")
    assert [event["counts"] for event in await house.tick()] == [{"🔥": 2}]
