"""Retention: what is older than a time is gone with all that hangs on it; what stays is whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, func, select

from realtime.ports import Appended, KeyClaim, NotTried, Span, Store
from realtime.stores import pruning
from realtime.stores.common import SQLStore
from realtime.stores.pruning import Pruned, prune
from realtime.stores.schema import events, mentions, messages, originals, pins, reactions, reports
from realtime.stores.verify import Problem, verify
from rooms import commands as c
from rooms import events as e
from rooms.events import Quote
from tests.contracts.conftest import OpenStore
from tests.realtime.stores.building import ANN, BOB, Talk, batch, proposal, talk

HANGING: tuple[Column[int], ...] = (
    messages.c.pos,
    events.c.pos,
    originals.c.target,
    mentions.c.pos,
    reactions.c.target,
    pins.c.target,
)


@pytest.fixture
async def sql(store: Store) -> AsyncIterator[SQLStore]:
    """What a test leaves is found in order."""
    assert isinstance(store, SQLStore)
    yield store
    problems: list[Problem] = []
    await verify(store, problems.append)
    assert problems == []


async def below(store: SQLStore, pos: int) -> dict[str, int]:
    """Table → rows that hang on positions below one."""
    return await store.read(
        lambda connection: {
            column.table.name: connection.execute(select(func.count()).where(column < pos)).scalar_one()
            for column in HANGING
        }
    )


async def positions(store: Store, after: int = 0) -> list[int]:
    return [event.pos for event in await store.events("r1", after=after, to=10_000, limit=10_000)]


async def found(store: Store, query: str) -> list[int]:
    page = await store.search("r1", "ann", query, before=None, limit=200, from_pos=1)
    return [listed.pos for listed in page.messages]


async def listed(store: Store) -> list[int]:
    page = await store.messages("r1", "ann", Span(limit=200), originals=True)
    return [one.pos for one in page.messages]


async def unread(store: Store, user: str) -> tuple[int, int]:
    (state,) = await store.read_states([user], "r1")
    return state.total - state.n, state.mentions


@pytest.fixture
async def lived(room: Talk) -> Talk:
    """Positions 1 to 11, in which everything that hangs on a message hangs on the one at 3."""
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.send(ANN, "old words for @bob")
    await room.do(ANN, c.MessageEdit(room="r1", target=3, text="older words for @bob and @all"))
    await room.do(BOB, c.MessageReact(room="r1", target=3, emoji="👍"))
    await room.do(ANN, c.MessagePin(room="r1", target=3))
    await room.do(BOB, c.ReportCreate(room="r1", target=3, reason="spam"), fresh="report")
    await room.send(ANN, "deleted words")
    await room.do(ANN, c.MessageDelete(room="r1", target=7))
    await room.send(BOB, "recent words", reply_to=3)
    await room.send(ANN, "words to @bob")
    await room.do(ANN, c.MessagePin(room="r1", target=10))
    return room


async def test_what_is_older_is_gone_with_all_that_hangs_on_it(sql: SQLStore, lived: Talk) -> None:
    (reply,) = await sql.events("r1", after=8, to=9, limit=1)
    assert all((await below(sql, 9)).values())
    assert await prune(sql, reply.at, dry_run=False) == Pruned(rooms=1, events=8)
    assert await below(sql, 9) == dict.fromkeys((column.table.name for column in HANGING), 0)
    loaded = await sql.load("r1")
    assert loaded is not None
    assert (loaded.first_pos, loaded.room.pos, loaded.room.n, loaded.room.members) == (9, 11, 4, 2)
    assert sorted(loaded.room.pins) == [10]
    assert await sql.first_positions(["r1", "nowhere"]) == {"r1": 9}
    assert await positions(sql) == [9, 10, 11]
    assert await listed(sql) == [9, 10]
    assert await found(sql, "words") == [10, 9]


async def test_a_quote_of_what_is_gone_is_one_of_a_deleted_message(sql: SQLStore, lived: Talk) -> None:
    await prune(sql, lived.now - 2_000, dry_run=False)
    gone = Quote(3, deleted=True)
    (reply,) = await sql.events("r1", after=8, to=9, limit=1)
    assert isinstance(reply, e.MessageCreated)
    assert reply.message is not None
    assert reply.message.reply_to == gone
    (first, _) = (await sql.messages("r1", "ann", Span(), originals=False)).messages
    assert first.reply_to == gone


async def test_reports_and_records_and_keys_stay(sql: SQLStore, lived: Talk) -> None:
    key = KeyClaim("ann", "r1", "k", b"body")
    await lived.do(ANN, c.MessageSend(room="r1", text="once"), key=key)
    waiting = await sql.outbox(100)
    await prune(sql, lived.now + 1, dry_run=False)
    assert await sql.outbox(100) == waiting
    assert await sql.duplicate(key) is not None
    assert await sql.read(lambda connection: connection.execute(select(reports.c.target)).scalars().all()) == [3]


async def test_a_room_of_which_all_is_gone_goes_on(sql: SQLStore, lived: Talk) -> None:
    pos, n = lived.room.pos, lived.room.n
    assert await prune(sql, lived.now + 1, dry_run=False) == Pruned(rooms=1, events=pos)
    assert await positions(sql) == []
    assert await listed(sql) == []
    assert await unread(sql, "bob") == (0, 0)
    await sql.mark_read("bob", "r1", pos)
    assert await unread(sql, "bob") == (0, 0)
    loaded = await sql.load("r1")
    assert loaded is not None
    assert loaded.first_pos == pos + 1
    again = Talk(sql, loaded.room)
    again.now = lived.now
    assert await again.send(ANN, "new @bob") == pos + 1
    assert await positions(sql) == [pos + 1]
    assert (again.room.n, await unread(sql, "bob")) == (n + 1, (1, 1))
    assert await prune(sql, again.now, dry_run=False) == Pruned()


async def test_nothing_is_older(sql: SQLStore, lived: Talk) -> None:
    (first,) = await sql.events("r1", after=0, to=1, limit=1)
    assert await prune(sql, first.at, dry_run=False) == Pruned()
    assert len(await positions(sql)) == 11


async def test_trying_it_changes_nothing(sql: SQLStore, lived: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 2)
    told: list[tuple[str, int, int]] = []
    would = await prune(sql, lived.now, dry_run=True, told=lambda *one: told.append(one))
    assert (would, told) == (Pruned(1, 10), [("r1", 1, 11)])
    assert len(await positions(sql)) == 11
    assert await prune(sql, lived.now, dry_run=False) == would


async def test_an_event_that_is_older_than_one_before_it_stays(sql: SQLStore, room: Talk) -> None:
    """As clocks of nodes differ: what stays has no hole."""
    pos = await room.send(ANN, "by a clock ahead")
    cut = room.now
    room.now -= 60_000
    await room.send(ANN, "by one behind")
    assert await prune(sql, cut, dry_run=False) == Pruned(rooms=1, events=pos - 1)
    assert await positions(sql) == [pos, pos + 1]


async def test_only_what_can_be_read_counts_as_unread(sql: SQLStore, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    for number in range(6):
        await room.send(ANN, f"{number} for @bob")
    assert await unread(sql, "bob") == (6, 6)
    await prune(sql, room.now - 2_000, dry_run=False)
    assert await listed(sql) == [6, 7, 8]
    assert await unread(sql, "bob") == (3, 3)
    await sql.mark_read("bob", "r1", 6)
    assert await unread(sql, "bob") == (2, 2)
    await room.do(ANN, c.RoomUpdate(room="r1", title="New"))
    await room.send(ANN, "last")
    await prune(sql, room.now - 1_000, dry_run=False)
    assert await positions(sql) == [9, 10]
    await sql.mark_read("bob", "r1", 9)  # no message stands there, nor before it
    assert await unread(sql, "bob") == (1, 0)


async def test_who_decided_before_what_is_gone_is_to_begin_anew(sql: SQLStore, open_store: OpenStore) -> None:
    room = await talk(sql)
    loaded = await sql.load("r1")
    assert loaded is not None
    behind = Talk(await open_store(), loaded.room)
    for text in "abc":
        await room.send(ANN, text)
    await prune(sql, room.now, dry_run=False)
    sent = proposal(await behind.decided(ANN, c.MessageSend(room="r1", text="x")))
    assert await behind.store.append(batch(behind.room, [sent])) == Appended((), (NotTried(),))
    assert await positions(sql) == [4]


async def test_what_was_decided_on_a_message_that_is_gone_finds_nothing(sql: SQLStore, room: Talk) -> None:
    pos = await room.send(ANN, "words")
    await room.send(ANN, "others")
    await prune(sql, room.now, dry_run=False)
    for command in (
        c.MessagePin(room="r1", target=pos),
        c.MessageReact(room="r1", target=pos, emoji="👍"),
        c.MessageEdit(room="r1", target=pos, text="other words"),
        c.MessageDelete(room="r1", target=pos),
    ):
        await room.do(ANN, command)
    assert not any((await below(sql, pos + 1)).values())
    assert await found(sql, "words") == []


async def test_every_transaction_leaves_the_room_whole(
    sql: SQLStore, lived: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "REACTIONS", 0)
    firsts = []
    while True:
        first, more = await sql.run(lambda tx: pruning._step(tx, "r1", lived.now + 1, 3), of="r1", rooms=("r1",))
        firsts.append(first)
        assert await positions(sql) == [*range(first, 12)]
        assert await positions(sql, after=first) == [*range(first + 1, 12)]
        assert not any((await below(sql, first)).values())
        assert await found(sql, "words") == [pos for pos in (10, 9, 3) if pos >= first]
        if not more:
            break
    assert firsts == [3, 4, 7, 10, 12, 12]  # the one with a reaction by itself


async def test_beside_writers_nothing_is_lost_and_no_hole_is_seen(
    sql: SQLStore, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "STEP", 5)
    monkeypatch.setattr(pruning, "PAUSE_S", 0.001)
    room = await talk(sql)
    for _ in range(20):
        await room.append([proposal(await room.decided(ANN, c.MessageSend(room="r1", text=f"old {n}"))) for n in "abc"])
    cut = room.now = room.now + 1
    pruner = await open_store()
    assert isinstance(pruner, SQLStore)
    pruning_it = asyncio.create_task(prune(pruner, cut, dry_run=False))
    sent = 0
    while not pruning_it.done():
        await room.send(ANN, f"new {sent}")
        sent += 1
        seen = await positions(sql)
        assert seen == [*range(seen[0], room.room.pos + 1)]
    assert (await pruning_it).events == 61
    assert sent
    assert await positions(sql) == [*range(62, 62 + sent)]
    assert len(await found(sql, "new")) == min(sent, 200)
    assert await found(sql, "old") == []
