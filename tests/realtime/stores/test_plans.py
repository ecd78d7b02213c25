"""How SQLite carries the statements out: by index, and the same for what is not there and what is not yours."""

import pytest
from sqlalchemy import event

from realtime.ports import KeyClaim, Span
from realtime.stores import sqlite_statements as statements
from rooms import commands as c
from tests.realtime.stores.building import ANN, BOB, CAT, Talk, talk
from tests.realtime.stores.conftest import MakeStore


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
async def room(make_store: MakeStore, ran: list[str]) -> Talk:
    store = make_store(trace=ran.append)
    await store.open()
    return await talk(store, visibility="private")


async def everything_read(room: Talk, name: str, user: str) -> None:
    """Every read of the port that names a room or a user."""
    store = room.store
    await store.accesses([(name, user)])
    await store.accesses([(name, user), (name, "another"), ("another", user)])
    await store.load(name)
    await store.first_positions([name, "another"])
    await store.find(
        name, people=[user], messages=[2], names=["x"], invite="x", pending="x", purge=(user, 5), purge_limit=5
    )
    await store.invite_room("x")
    await store.duplicate(KeyClaim(user, name, "k", b""))
    await store.events(name, after=0, to=9, limit=9)
    for span in (Span(), Span(before=9), Span(after=0), Span(around=2)):
        await store.messages(name, user, span, originals=True)
    await store.reactions(name, 2)
    await store.search(name, user, "word", before=9, limit=9, from_pos=1)
    await store.members(name, role=None, after="a", limit=9)
    await store.members(name, role="owner", after=None, limit=9)
    for popular in (False, True):
        for mine, all_rooms in ((False, False), (True, False), (False, True)):
            await store.rooms(user, mine=mine, everything=all_rooms, kind=None, popular=popular, cursor=None, limit=1)
    await store.invites(name, 5)
    await store.pending(name, None)
    await store.pending(name, user)
    await store.due(5, 5)
    await store.read_states([user])
    await store.read_states([user, "another"])
    await store.read_states([user], name)
    await store.memberships(user)
    await store.profiles([user])
    await store.profiles([user, "another"])
    await store.outbox(5)


async def plans(room: Talk, sql: set[str]) -> dict[str, list[str]]:
    """Statement → the steps of its plan that read a whole table, or sort more than a page."""
    found: dict[str, list[str]] = {}
    for statement in sql:
        parameters = [None] * statement.count("?")
        rows = await room.store.run(  # type: ignore[attr-defined]  # the SQLite store's own
            lambda tx, s=statement, p=parameters: tx.raw.execute(f"EXPLAIN QUERY PLAN {s}", p).fetchall()
        )
        steps = [row[3] for row in rows]
        whole = [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE INDEX" not in step]
        given = ("CONSTANT ROW", "VALUES CLAUSE")
        found[statement] = [step for step in whole if not any(kind in step for kind in given)]
    return found


async def test_no_read_scans_a_table(room: Talk, ran: list[str]) -> None:
    await room.send(ANN, "a word")
    await everything_read(room, "r1", "ann")
    scans = {sql: steps for sql, steps in (await plans(room, set(ran))).items() if steps}
    # the outbox is read and emptied from its beginning; what is not indexed yet is a second's notes
    assert {tuple(steps) for sql, steps in scans.items()} == {("SCAN outbox",), ("SCAN unindexed",)}


async def test_no_write_scans_a_table(room: Talk) -> None:
    prepared = {sql for name, sql in vars(statements).items() if name.isupper() and isinstance(sql, str)} - {
        statements.ADD_WORDS,
        statements.ERASE_WORDS,
        statements.UNINDEXED,  # read as a whole
        statements.TEXTS,  # scans the values that it is given
    }
    written: set[str] = set()
    engine = room.store._engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: written.add(sql))
    await room.do(ANN, c.RoomUpdate(room="r1", title="New"))
    pos = await room.send(ANN, "@ann first")
    await room.do(ANN, c.InviteCreate(room="r1", uses=1), fresh="code")
    await room.do(BOB, c.InviteAccept(code="code"))
    await room.do(ANN, c.MemberMute(room="r1", user="bob"))
    await room.do(ANN, c.MessageReact(room="r1", target=pos, emoji="👍"))
    await room.do(ANN, c.MessagePin(room="r1", target=pos))
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="second"))
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    await room.do(ANN, c.MemberBan(room="r1", user="bob"))
    await room.store.save_profile("ann", "Anne", None)
    await room.store.log_out("ann", 5)
    await room.store.forget_keys(5)
    await room.store.discard_pending("x")
    await room.store.taken(5)
    assert len(written) > 15
    assert {sql: steps for sql, steps in (await plans(room, prepared | written)).items() if steps} == {}


async def test_what_is_not_there_and_what_is_not_yours_run_the_same_queries(room: Talk, ran: list[str]) -> None:
    store = room.store
    for ask in (
        lambda name: store.accesses([(name, CAT.user)]),
        lambda name: store.duplicate(KeyClaim("cat", name, "k", b"")),
        lambda name: store.read_states(["cat"], name),
    ):
        asked = []
        for name in ("r1", "nowhere"):
            ran.clear()
            await ask(name)
            asked.append(list(ran))
        assert asked[0]
        assert asked[0] == asked[1]
