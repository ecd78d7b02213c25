"""Delayed messages under two nodes on one log: both find that the time of one has come, it is published once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor
from rooms.settings import SettingsPatch
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import empty, postgres_store
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner")
BOB = Actor(user="bob", name="Bob")
DELAY_SECONDS = 5
MESSAGES = 20


class Nodes:
    """Two services, and one clock for both. `told` is what each tells authors of their messages."""

    def __init__(self, postgres: PostgresServer, database: str):
        self.now = 1_700_000_000_000
        self.both = [make_service(postgres_store(postgres, database, self.clock), self.clock) for _ in range(2)]
        self.told: list[tuple[str, str]] = []

    def clock(self) -> int:
        self.now += 1  # or the order of messages would be that of their random ids
        return self.now

    def hear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def resolved(author: str, pending: str, outcome: str, pos: int | None) -> None:
            self.told.append((pending, outcome))

        for service in self.both:
            monkeypatch.setattr(service.aftermath, "resolved", resolved)

    async def delayed(self) -> tuple[str, list[str]]:
        """A room where messages wait, and the ids of those that do. Both nodes know the room."""
        first, second = self.both
        made = await first.answer(OWNER, c.RoomCreate(kind="live", title="Live", visibility="public"))
        room: str = made["room"].id
        settings = SettingsPatch(delay_seconds=DELAY_SECONDS)
        await first.answer(OWNER, c.RoomUpdate(room=room, settings=settings))
        sent = [await second.answer(BOB, c.MessageSend(room=room, text=f"{n}")) for n in range(MESSAGES)]
        return room, [reply["pending"] for reply in sent]

    async def waiting(self, room: str) -> int:
        return len(await self.both[0].store.pending(room, None))

    async def texts(self, room: str) -> list[str]:
        log = await self.both[0].store.events(room, after=0, to=1_000, limit=1_000)
        return [x.message.text for x in log if isinstance(x, e.MessageCreated) and x.message is not None]

    async def settled(self, room: str) -> None:
        async with asyncio.timeout(30):
            while await self.waiting(room):  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0.01)
            for service in self.both:
                await service.settle()


@pytest.fixture
async def nodes(
    postgres: PostgresServer, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Nodes]:
    made = Nodes(postgres, postgres_database)
    made.hear(monkeypatch)
    for service in made.both:
        await service.start()
    yield made
    for service in made.both:
        await service.close()
    empty(postgres, postgres_database)


async def test_each_comes_out_once_and_its_author_hears_so_once(nodes: Nodes) -> None:
    room, pending = await nodes.delayed()
    nodes.now += DELAY_SECONDS * 1_000
    await nodes.settled(room)
    assert await nodes.texts(room) == [f"{n}" for n in range(MESSAGES)]
    assert sorted(nodes.told) == sorted((one, "released") for one in pending)


async def test_of_one_that_may_not_come_out_any_more_its_author_hears_once(nodes: Nodes) -> None:
    room, pending = await nodes.delayed()
    await nodes.both[0].answer(OWNER, c.MemberBan(room=room, user="bob"))
    due = await nodes.both[0].store.pending(room, None)
    await asyncio.gather(*(service._upkeep._release(one) for one in due for service in nodes.both))
    assert await nodes.texts(room) == []
    assert sorted(nodes.told) == sorted((one, "refused") for one in pending)


async def test_what_a_moderator_is_quicker_with_is_not_refused_as_well(nodes: Nodes) -> None:
    room, pending = await nodes.delayed()
    (due,) = [one for one in await nodes.both[0].store.pending(room, None) if one.id == pending[0]]
    await nodes.both[1].answer(OWNER, c.MessageApprove(room=room, pending=due.id))
    await nodes.both[0]._upkeep._release(due)
    assert await nodes.texts(room) == ["0"]
    assert nodes.told == [(due.id, "approved")]


async def test_a_node_that_has_not_heard_that_a_ban_was_lifted_does_not_drop_a_message(nodes: Nodes) -> None:
    room, pending = await nodes.delayed()
    first, second = nodes.both
    await first.answer(OWNER, c.MemberBan(room=room, user="bob"))
    host = await second.directory.host(room)
    assert host is not None
    await second.joining.catch_up(host)
    await first.answer(OWNER, c.MemberUnban(room=room, user="bob"))
    due = await first.store.pending(room, None)
    await asyncio.gather(*(second._upkeep._release(one) for one in due))
    assert sorted(await nodes.texts(room)) == sorted(f"{n}" for n in range(MESSAGES))
    assert sorted(nodes.told) == sorted((one, "released") for one in pending)
