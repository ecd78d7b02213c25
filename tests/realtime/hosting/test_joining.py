"""What may happen to a room, and to who joins it, while the joining reads the past."""

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.stores import reads
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.events import Logged
from tests.support.forms import JSON_LINES
from tests.support.service import make_service

OWNER, BOB = Actor(user="owner", name="Owner"), Actor(user="bob", name="Bob")


class Meanwhile:
    """A store that does something between reading events and giving them."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.act: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        found = await self._store.events(room, after=after, to=to, limit=limit)
        act, self.act = self.act, None
        if act is not None and (waiting := act()) is not None:
            await waiting
        return found


class Ear:
    """A listener; what it heard is in `heard`."""

    unsent = 0
    lagging = False
    connection = None

    def __init__(self, actor: Actor):
        self.actor = actor
        self.user = actor.user
        self.form = JSON_LINES
        self.heard: list[dict[str, Any]] = []

    def out(self, frames: bytes) -> None:
        self.heard += map(msgspec.json.decode, frames.splitlines())

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self.heard.append(notice)

    def too_slow(self) -> None:
        raise AssertionError("nothing is slow here")


class House:
    """A private room of two, as after a start that brings along no people but owners and moderators."""

    def __init__(self, folder: Path):
        clock = itertools.count(1_700_000_000_000).__next__
        self.store = Meanwhile(SQLiteStore(folder / "galaxy.db", clock))
        store: Any = self.store
        self.service = make_service(store, clock)
        self.room = ""
        self.bob = Ear(BOB)

    async def furnish(self) -> None:
        await self.store.open()
        answer = self.service.answer
        made = await answer(OWNER, c.RoomCreate(kind="group", title="Room", visibility="private"))
        self.room = made["room"].id
        code = (await answer(OWNER, c.InviteCreate(room=self.room)))["code"]
        await answer(BOB, c.InviteAccept(code=code))
        await self.say("hello")

    async def say(self, text: str) -> None:
        await self.service.answer(OWNER, c.MessageSend(room=self.room, text=text))

    async def join(self, ear: Ear, since: int | None = None) -> dict[str, Any]:
        replies: list[dict[str, Any]] = []
        epoch = self.service.directory.hosts[self.room].epoch
        command = c.RoomJoin(room=self.room, since=None if since is None else c.Since(epoch, since))
        await self.service.joining.join(command, ear, replies.append)
        (reply,) = replies
        return reply

    async def reload(self) -> None:
        """As after a failed write."""
        loaded = await self.store.load(self.room)
        self.service.directory.hosts[self.room].room = loaded.room


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(reads, "ALL_PEOPLE", 0)
    house = House(tmp_path)
    await house.furnish()
    yield house
    await house.service.close()


async def test_what_comes_while_the_past_is_read_is_in_it(house: House) -> None:
    house.store.act = lambda: house.say("meanwhile")
    reply = await house.join(house.bob, since=1)
    assert reply["recovered"]
    assert [event["pos"] for event in reply["events"]] == list(range(2, reply["pos"] + 1))
    assert reply["events"][-1]["message"]["text"] == "meanwhile"
    await house.say("after")
    house.service.hub.flush_all()
    assert [event["pos"] for event in house.bob.heard if "pos" in event] == [reply["pos"] + 1]


async def test_a_room_that_is_loaded_anew_meanwhile_still_knows_its_members(house: House) -> None:
    house.store.act = house.reload
    reply = await house.join(house.bob, since=1)
    assert reply["recovered"]
    assert reply["you"]["role"] == "member"


async def test_a_new_token_keeps_a_member_of_a_room_that_was_loaded_anew(house: House) -> None:
    await house.join(house.bob)
    await house.reload()
    await house.service.recheck(house.room, house.bob)
    assert house.service.hub.listening(house.room, house.bob)
    assert house.bob.heard == []


async def test_rights_that_a_new_token_no_longer_grants_end_with_it(house: House) -> None:
    ear = Ear(Actor(user="guest", name="Guest", granted={house.room: "moderator"}))
    await house.join(ear)
    ear.actor = Actor(user="guest", name="Guest")
    await house.service.recheck(house.room, ear)
    assert not house.service.hub.listening(house.room, ear)
    assert [event["code"] for event in ear.heard if event["type"] == "room.removed"] == ["revoked"]


async def test_a_token_that_changes_while_the_past_is_read_counts(house: House) -> None:
    ear = Ear(Actor(user="guest", name="Guest", granted={house.room: "moderator"}))
    await house.join(ear)

    def refresh() -> Any:
        ear.actor = Actor(user="guest", name="Guest")
        return house.service.recheck(house.room, ear)

    house.store.act = refresh
    with pytest.raises(Rejected) as refused:
        await house.join(ear, since=1)
    assert refused.value.code == "not_found"
    assert not house.service.hub.listening(house.room, ear)


async def test_who_has_seen_more_on_another_node_waits_until_it_is_here(house: House, tmp_path: Path) -> None:
    """Nothing has told this node of what the other one wrote."""
    there = make_service(SQLiteStore(tmp_path / "galaxy.db", house.service.clock), house.service.clock)
    await there.store.open()
    said = [await there.answer(OWNER, c.MessageSend(room=house.room, text=f"{n}")) for n in range(3)]
    last = said[-1]["pos"]
    assert house.service.directory.hosts[house.room].room.pos == last - 3
    joined = await house.join(house.bob, since=last - 1)
    assert (joined["recovered"], joined["pos"]) == (True, last)
    assert [event["pos"] for event in map(msgspec.to_builtins, joined["events"])] == [last]
    await there.close()


async def test_a_position_that_the_log_does_not_have_is_not_waited_for(house: House) -> None:
    joined = await house.join(house.bob, since=1_000)
    assert not joined["recovered"]
    await house.say("more")
    assert (await house.join(house.bob, since=joined["pos"]))["recovered"]
