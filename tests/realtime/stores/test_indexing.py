"""The full-text index is behind the log, but no search is."""

import asyncio

import pytest

from realtime.ports import Batch, Proposal, Written
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.sqlite_writer import INDEX_MANY
from rooms import commands as c
from tests.realtime.stores.building import ANN, BOB, NOW, message, talk
from tests.realtime.stores.conftest import MakeStore


async def found(store: SQLiteStore, query: str, room: str = "r1") -> list[int]:
    page = await store.search(room, "ann", query, before=None, limit=100, from_pos=1)
    return [one.pos for one in page.messages]


async def noted(store: SQLiteStore) -> int:
    """How many transactions left messages out of the index."""
    return await store.run(lambda tx: int(tx.raw.execute("SELECT count(*) FROM unindexed").fetchone()[0]))


async def until_indexed(store: SQLiteStore) -> None:
    async with asyncio.timeout(20):
        while await noted(store):  # noqa: ASYNC110 - the writer tells nobody that it has indexed
            await asyncio.sleep(0.01)


@pytest.fixture
async def store(make_store: MakeStore) -> SQLiteStore:
    store = make_store()
    await store.open()
    return store


async def test_what_waits_is_found_in_every_room(store: SQLiteStore) -> None:
    rooms = [await talk(store, name) for name in ("r1", "r2")]
    for room in rooms:
        await room.send(ANN, "first word")
        await room.do(BOB, c.MemberJoin(room=room.room.id))
        await room.send(BOB, "second word")
    assert [await found(store, "word", name) for name in ("r1", "r2")] == [[4, 2], [4, 2]]
    assert await noted(store) == 0
    await rooms[0].send(ANN, "third word")
    assert await found(store, "word") == [5, 4, 2]


async def test_each_message_is_indexed_once(store: SQLiteStore) -> None:
    room = await talk(store)
    pos = await room.send(ANN, "before")
    assert await found(store, "before") == [pos]
    await room.send(ANN, "after")
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    hits = await store.run(lambda tx: tx.raw.execute("SELECT rowid FROM search WHERE search MATCH 'before'").fetchall())
    assert hits == []
    assert await found(store, "after") == [pos + 1]


async def test_an_edit_and_what_was_said_in_the_same_transaction(store: SQLiteStore) -> None:
    room = await talk(store)
    pos = await room.send(ANN, "old")
    edit = await room.decided(ANN, c.MessageEdit(room="r1", target=pos, text="new"))
    proposals = (
        Proposal((message("r1", 3, text="said first"),), (), None, {}, True, True),
        Proposal(edit.events, (), None, {}, True, True),
        Proposal((message("r1", 5, text="said last"),), (), None, {}, True, True),
    )
    appended = await store.append(Batch("r1", pos, 0, NOW, proposals))
    assert [type(result) for result in appended.results] == [Written] * 3
    assert [await found(store, query) for query in ("old", "new", "said")] == [[], [pos], [5, 3]]


async def test_many_are_indexed_without_being_asked_for(store: SQLiteStore) -> None:
    await talk(store)
    many = tuple(Proposal((message("r1", 2 + i, n=1 + i),), (), None, {}, True, True) for i in range(INDEX_MANY))
    await store.append(Batch("r1", 1, 0, NOW, many))
    await until_indexed(store)


async def test_what_a_crash_left_is_indexed_by_the_next_start(store: SQLiteStore, make_store: MakeStore) -> None:
    room = await talk(store)
    pos = await room.send(ANN, "left behind")
    assert await noted(store)
    again = make_store()
    await again.open()
    await until_indexed(again)
    assert await found(again, "left behind") == [pos]
