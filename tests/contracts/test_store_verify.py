"""What the database holds against what its logs say: nothing wrong where nothing is, and each kind of damage found."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from realtime.ports import Store
from realtime.stores import verify as verifying
from realtime.stores import verify_messages, verify_people
from realtime.stores.common import SQLStore
from realtime.stores.postgres import PostgresStore
from realtime.stores.pruning import prune
from realtime.stores.verify import Problem, Verified, verify
from rooms import commands as c
from tests.realtime.stores.building import ANN, BOB, CAT, Talk, talk


@pytest.fixture
async def sql(store: Store) -> SQLStore:
    """Two rooms, in which everything has happened; what is at which position of `r1` says `lived`."""
    assert isinstance(store, SQLStore)
    await lived(await talk(store))
    live = await talk(store, "live", kind="live")
    pos = await live.send(BOB, "你好 @ann")
    await live.do(CAT, c.MessageReact(room="live", target=pos, emoji="👍"))
    await live.send(ANN, "?!")
    return store


async def lived(room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.send(ANN, "words for @bob")  # 3
    await room.do(ANN, c.MessageEdit(room="r1", target=3, text="better words for @bob"))
    await room.do(BOB, c.MessageReact(room="r1", target=3, emoji="👍"))
    await room.do(ANN, c.MessagePin(room="r1", target=3))
    await room.send(BOB, "gone words")  # 7
    await room.do(BOB, c.MessageDelete(room="r1", target=7))
    await room.do(ANN, c.MemberRole(room="r1", user="bob", role="moderator"))
    await room.do(CAT, c.MemberJoin(room="r1"))  # 10
    await room.do(ANN, c.MemberMute(room="r1", user="cat"))
    await room.do(ANN, c.MemberBan(room="r1", user="dan", seconds=60))
    await room.send(BOB, "last words", reply_to=3)  # 13


async def problems(store: SQLStore, room: str | None = None) -> list[Problem]:
    found: list[Problem] = []
    verified = await verify(store, found.append, room)
    assert verified.problems == len(found)
    return found


async def damage(store: SQLStore, statement: str) -> None:
    """Of the room r1, whose number is :room."""
    await store.run(
        lambda tx: tx.core.exec_driver_sql(statement.replace(":room", "(SELECT num FROM rooms WHERE id = 'r1')"))
    )


async def test_all_is_well(sql: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await verify(sql, lambda problem: pytest.fail(str(problem))) == Verified(rooms=2, events=16, messages=5)
    # In pages and passes, as of larger rooms.
    for module in (verifying, verify_messages):
        monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(verifying, "ROOMS", 1)
    monkeypatch.setattr(verify_people, "PEOPLE", 1)
    assert await problems(sql) == []
    for event in await sql.events("r1", after=1, to=13, limit=13):
        await prune(sql, event.at, dry_run=False)
        assert await problems(sql) == []
    assert await verify(sql, lambda _: None, "r1") == Verified(rooms=1, events=1, messages=1)
    assert await verify(sql, lambda _: None, "nowhere") == Verified()


DAMAGE = {
    "DELETE FROM events WHERE room = :room AND pos = 5": (5, "no events from here to 5"),
    "DELETE FROM messages WHERE room = :room AND pos = 13": (13, "the room's last position"),
    "UPDATE rooms SET pos = 12 WHERE id = 'r1'": (13, "rows from after the room's last position"),
    "UPDATE rooms SET first_pos = 3 WHERE id = 'r1'": (1, "rows from before first_pos"),
    "UPDATE events SET pos = 3 WHERE room = :room AND pos = 4": (3, "two events at one position"),
    "UPDATE events SET type = 'nonsense' WHERE room = :room AND pos = 5": (5, "cannot be read"),
    "UPDATE events SET payload = '[' WHERE room = :room AND pos = 9": (9, "cannot be read"),
    "UPDATE rooms SET epoch = 'no-epoch' WHERE id = 'r1'": (None, "the epoch"),
    "UPDATE rooms SET title = 'x' WHERE id = 'r1'": (None, "title"),
    "UPDATE rooms SET n = 9 WHERE id = 'r1'": (None, "the room says 9"),
    "UPDATE rooms SET members = 9 WHERE id = 'r1'": (None, "3 members, the room says 9"),
    "UPDATE rooms SET rules_pos = 1 WHERE id = 'r1'": (None, "rules_pos"),
    "UPDATE rooms SET rules_pos = 99 WHERE id = 'r1'": (99, "restricting"),
    "UPDATE rooms SET last_at = 1 WHERE id = 'r1'": (13, "the room says 1"),
    "UPDATE messages SET n = 7 WHERE room = :room AND pos = 7": (7, "message number 7 comes after number 1"),
    "UPDATE messages SET text = NULL WHERE room = :room AND pos = 13": (13, "by the log it is not"),
    "UPDATE messages SET text = 'x' WHERE room = :room AND pos = 7": (7, "the log deletes it"),
    "UPDATE messages SET edited_at = 1 WHERE room = :room AND pos = 13": (13, "edited_at"),
    "DELETE FROM originals WHERE room = :room": (3, "0 earlier texts, by the log 1"),
    "UPDATE originals SET target = 4 WHERE room = :room": (4, "earlier texts of a message that is not there"),
    "DELETE FROM reactions WHERE room = :room": (3, "reactions"),
    "UPDATE reactions SET target = 99 WHERE room = :room": (99, "reactions of a message that is not there"),
    "DELETE FROM pins WHERE room = :room": (3, "pinned until None"),
    "UPDATE pins SET target = 13 WHERE room = :room": (13, "by the log None"),
    "DELETE FROM mentions WHERE room = :room": (3, "the mention of 'bob'"),
    "UPDATE events SET target = 4 WHERE room = :room AND pos = 5": (5, "changes the message at 4, which is not there"),
    "UPDATE room_users SET role = 3 WHERE room = :room AND \"user\" = 'cat'": (None, "'cat': role"),
    "UPDATE room_users SET muted_until = 0 WHERE room = :room AND \"user\" = 'cat'": (None, "'cat': muted_until"),
    "UPDATE room_users SET banned_until = 0 WHERE room = :room AND \"user\" = 'dan'": (None, "'dan': banned_until"),
    "UPDATE room_users SET last_at = 0 WHERE room = :room AND \"user\" = 'bob'": (None, "'bob': last_at"),
    "UPDATE room_users SET read_n = 9 WHERE room = :room AND \"user\" = 'bob'": (13, "noted are 9"),
    "UPDATE room_users SET read_pos = 99 WHERE room = :room AND \"user\" = 'bob'": (99, "has read further"),
    "DELETE FROM room_users WHERE room = :room AND \"user\" = 'dan'": (12, "'dan' is none of the room's people"),
}


@pytest.mark.parametrize("statement", DAMAGE)
async def test_damage_is_found(sql: SQLStore, statement: str) -> None:
    pos, what = DAMAGE[statement]
    await damage(sql, statement)
    found = await problems(sql)
    assert any(problem.room == "r1" and problem.pos == pos and what in problem.what for problem in found), found
    assert await problems(sql, "r1") == found
    assert await problems(sql, "live") == []


async def test_words_that_are_not_indexed_are_found(sql: SQLStore) -> None:
    await sql.search("r1", "ann", "words", before=None, limit=9, from_pos=1)  # all are indexed then
    if isinstance(sql, PostgresStore):
        await damage(sql, "UPDATE messages SET words = 'others' WHERE room = :room AND pos = 13")
    else:
        await sql.run(lambda tx: tx.sql.forget_words(1, [(13, "last words")]))
    assert await problems(sql) == [Problem("r1", 13, "the search index does not hold the message's words")]


async def test_rows_of_no_room_are_found(sql: SQLStore, tmp_path: Path) -> None:
    if isinstance(sql, PostgresStore):
        await damage(sql, "DELETE FROM rooms WHERE id = 'r1'")
    else:
        with closing(sqlite3.connect(tmp_path / "galaxy.db")) as database, database:  # without foreign keys
            database.execute("DELETE FROM rooms WHERE id = 'r1'")
    found = await problems(sql)
    assert "messages: rows of a room numbered" in " ".join(problem.what for problem in found)


async def test_of_many_problems_some_are_told(sql: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "MOST", 1)
    await damage(sql, "UPDATE rooms SET title = 'x', closed = (1 = 1), members = 9 WHERE id = 'r1'")
    first, rest = await problems(sql)
    assert "3 members" in first.what
    assert rest == Problem("r1", None, "3 more problems")
