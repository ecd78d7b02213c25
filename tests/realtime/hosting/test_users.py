"""Unread counts and mentions that are kept up in memory are the store's, whatever happens while it is being asked."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.hosting import users as users_module
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from tests.support.service import make_service

OWNER, BOB, CAT = (Actor(user=user, name=user.capitalize()) for user in ("owner", "bob", "cat"))


class Meanwhile:
    """A store that does something, once, between reading and giving what it read: `acts`, by the method's name."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.acts: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read_states(self, users: Collection[str], room: str | None = None) -> list[ports.ReadState]:
        self.asked += 1
        states = await self._store.read_states(users, room)
        await self._act("read_states")
        return states

    async def profiles(self, users: Collection[str]) -> dict[str, ports.Profile]:
        profiles = await self._store.profiles(users)
        await self._act("profiles")
        return profiles

    async def _act(self, name: str) -> None:
        act = self.acts.pop(name, None)
        if act is not None:
            await act()


class Screen:
    """A connection of a user; what it was told is in `told`."""

    issued_ms: int | None = 0

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.ended = False

    def tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)

    def logged_out(self) -> None:
        self.ended = True

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Unread messages and mentions as told, one pair for each time."""
        rows = [row for event in self.told if event["type"] == "user.changed" for row in event["rooms"]]
        return [(row["unread"], row["mentions"]) for row in rows]


class House:
    def __init__(self, folder: Path):
        self.clock = itertools.count(1_700_000_000_000).__next__
        self.store = Meanwhile(SQLiteStore(folder / "galaxy.db", self.clock))
        store: Any = self.store
        self.service = make_service(store, self.clock)
        self.room = ""
        self.screen = Screen()

    async def furnish(self) -> None:
        await self.store.open()
        made = await self.do(OWNER, c.RoomCreate(kind="group", title="Room", visibility="private"))
        self.room = made["room"].id
        code = (await self.do(OWNER, c.InviteCreate(room=self.room)))["code"]
        for actor in (BOB, CAT):
            await self.do(actor, c.InviteAccept(code=code))

    async def do(self, actor: Actor, command: c.AnyCommand) -> dict[str, Any]:
        return await self.service.answer(actor, command)

    async def say(self, actor: Actor, text: str) -> int:
        return int((await self.do(actor, c.MessageSend(room=self.room, text=text)))["pos"])

    async def arrive(self) -> None:
        """Bob comes online."""
        await self.service.arrive(BOB, self.clock(), self.screen)

    async def tick(self) -> None:
        await self.service.users.announce()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    await house.service.close()


async def test_who_is_sent_away_while_coming_online_hears_no_more_of_the_room(house: House) -> None:
    house.store.acts["read_states"] = lambda: house.do(OWNER, c.MemberKick(room=house.room, user="bob"))
    await house.arrive()
    await house.say(OWNER, "between us")
    await house.tick()
    assert house.screen.counts == []


async def test_an_own_message_while_a_mark_is_read_stays_read(house: House) -> None:
    await house.arrive()
    pos = await house.say(OWNER, "one")
    house.store.acts["read_states"] = lambda: house.say(BOB, "two")
    await house.do(BOB, c.ReadMark(room=house.room, pos=pos))
    await house.tick()
    await house.tick()
    assert house.screen.counts[-1] == (0, 0)


async def test_a_mention_while_counts_are_read_is_counted_once(house: House) -> None:
    await house.arrive()
    pos = await house.say(OWNER, "one")
    house.store.acts["read_states"] = lambda: house.say(OWNER, "@bob")
    await house.do(BOB, c.ReadMark(room=house.room, pos=pos))
    await house.tick()
    await house.tick()
    assert house.screen.counts[-1] == (1, 1)


async def test_one_message_is_one_mention_however_it_mentions(house: House) -> None:
    await house.arrive()
    await house.say(OWNER, "@all and @bob")
    await house.tick()
    assert house.screen.counts == [(1, 1)]


async def test_an_edit_has_only_those_counted_anew_whom_it_may_concern(house: House) -> None:
    await house.arrive()
    pos = await house.say(OWNER, "one")
    await house.tick()
    asked = house.store.asked
    await house.do(OWNER, c.MessageEdit(room=house.room, target=pos, text="two"))
    await house.tick()
    assert house.store.asked == asked
    await house.do(OWNER, c.MessageEdit(room=house.room, target=pos, text="@bob"))
    await house.tick()
    assert house.store.asked == asked + 1
    assert house.screen.counts[-1] == (1, 1)


async def test_a_busy_room_is_not_read_again_and_again(house: House) -> None:
    """What comes while the store is asked is counted on top of its answer."""
    await house.arrive()
    pos = await house.say(OWNER, "one")
    house.store.acts["read_states"] = lambda: house.say(OWNER, "@bob and @cat")
    await house.do(BOB, c.ReadMark(room=house.room, pos=pos))
    asked = house.store.asked
    await house.say(OWNER, "@bob")
    await house.tick()
    assert house.screen.counts[-1] == (2, 2)
    assert house.store.asked == asked


async def test_more_mentions_than_are_at_hand_are_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MENTIONS", 2)
    await house.arrive()
    pos = await house.say(OWNER, "one")

    async def mention_often() -> None:
        for _ in range(4):
            await house.say(OWNER, "@bob")

    house.store.acts["read_states"] = mention_often
    await house.do(BOB, c.ReadMark(room=house.room, pos=pos))
    await house.tick()
    assert house.screen.counts[-1] == (4, 4)


async def test_who_logs_out_everywhere_while_coming_online_is_out(house: House) -> None:
    """The profile is read before the logging out, the connection counted in after it."""
    issued = house.clock()
    house.store.acts["profiles"] = lambda: house.do(BOB, c.UserLogout())
    with pytest.raises(Rejected) as refused:
        await house.service.arrive(BOB, issued, house.screen)
    assert refused.value.code == "unauthorized"
    assert house.service.users.connections("bob") == 0


async def test_what_could_not_be_read_for_one_device_is_read_for_the_other(house: House) -> None:
    await house.say(OWNER, "one")
    other = Screen()

    async def fail() -> None:
        await house.service.users.connect("bob", "Bob", other)
        raise ports.Unavailable("gone")

    house.store.acts["read_states"] = fail
    with pytest.raises(ports.Unavailable):
        await house.arrive()
    await house.tick()
    await house.say(OWNER, "two")
    await house.tick()
    assert other.counts[-1] == (2, 0)


async def test_stale_counts_of_many_are_one_question(house: House) -> None:
    await house.arrive()
    other = Screen()
    await house.service.users.connect("cat", "Cat", other)
    await house.say(OWNER, "one")
    house.service.users.all_stale(house.room)
    asked = house.store.asked
    await house.tick()
    assert house.store.asked == asked + 1
    assert house.screen.counts[-1] == other.counts[-1] == (1, 0)


async def test_counts_that_cannot_be_read_now_are_told_with_the_next_tick(house: House) -> None:
    await house.arrive()
    await house.say(OWNER, "one")
    house.service.users.all_stale(house.room)

    async def fail() -> None:
        raise ports.Unavailable("gone")

    house.store.acts["read_states"] = fail
    with pytest.raises(ports.Unavailable):
        await house.tick()
    assert house.screen.counts == []
    await house.tick()
    assert house.screen.counts == [(1, 0)]
