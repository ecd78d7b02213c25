"""The SQL of the writer's hot path: composed once with SQLAlchemy, run on the bare driver (docs/decisions/0003).

Each constant is one statement, its parameters positional: those of an insertion in the order of the table's columns.
The driver lets go of the interpreter at each step of a statement, and a busy event loop keeps the writer waiting for it
each time: so many rows go into one statement.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from realtime.stores.schema import events, keys, mentions, messages, outbox, room_users, rooms, unindexed, users

_DIALECT = sqlite.dialect(paramstyle="qmark")


def prepare(statement: ClauseElement, names: str) -> str:
    """The SQL of a statement whose parameters are `names`, in this order."""
    compiled = statement.compile(dialect=_DIALECT)
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup != names.split():
        raise TypeError(f"the parameters are not {names}: {compiled}")
    return str(compiled)


def _values(table: Table, but: str = "") -> tuple[Insert, str]:
    names = [column.name for column in table.columns if column.name != but]
    return upsert(table).values({name: bindparam(name) for name in names}), " ".join(names)


def _insert(table: Table, but: str = "") -> str:
    return prepare(*_values(table, but))


def _insert_new(table: Table) -> str:
    statement, names = _values(table)
    return prepare(statement.on_conflict_do_nothing(), names)


ROOMS = "SELECT id, num, pos, rules_pos, n, last_at FROM rooms WHERE id IN (VALUES (?))"
"""Written out, as SQLAlchemy has no parameters for rows."""
SAVE_ROOM = prepare(
    update(rooms)
    .where(rooms.c.num == bindparam("room"))
    .values({name: bindparam(name) for name in ("pos", "rules_pos", "n", "last_at")}),
    "pos rules_pos n last_at room",
)
"""All that an event changes of every room. The count of members has an index, which would be written each time."""
ADD_EVENT = _insert(events)
ADD_MESSAGE = _insert(messages, but="edited_at")
ADD_MENTION = _insert_new(mentions)
ADD_RECORDS = _insert(outbox, but="seq")
ADD_UNINDEXED = _insert(unindexed, but="seq")
CLAIM_KEY = _insert_new(keys)
ADD_WORDS = "INSERT INTO search(rowid, text) VALUES (?, ?)"
ERASE_WORDS = "INSERT INTO search(search, rowid, text) VALUES ('delete', ?, ?)"
"""FTS5's own statements, which SQLAlchemy has no words for. An erasure repeats the text that was added."""

_user = upsert(users).values({name: bindparam(name) for name in ("id", "name", "folded", "avatar")})
ADD_USER = prepare(
    _user.on_conflict_do_update(
        index_elements=["id"],
        set_={name: _user.excluded[name] for name in ("name", "folded", "avatar")},
        where=users.c.name.is_(None),
    ),
    "id name folded avatar",
)
_person = upsert(room_users).values(
    {name: bindparam(name) for name in ("room", "user", "last_at", "read_pos", "read_n")}
    | dict.fromkeys(("role", "joined_pos", "muted_until", "banned_until"), literal_column("0"))
)
ADD_WRITER = prepare(
    _person.on_conflict_do_update(
        index_elements=["room", "user"], set_={c: _person.excluded[c] for c in ("last_at", "read_pos", "read_n")}
    ),
    "room user last_at read_pos read_n",
)
"""Who has sent a message; one's own message is read."""

_one: ColumnElement[int] = literal_column("1")
_latest = select(func.max(messages.c.pos)).where(
    messages.c.room == bindparam("of"), messages.c.pos <= bindparam("up_to")
)
_read = messages.alias()
_n = select(_read.c.n).where(_read.c.room == bindparam("from_room"), _read.c.pos == _latest.scalar_subquery())
MARK_READ = prepare(
    update(room_users)
    .where(
        room_users.c.room == bindparam("in_room"),
        room_users.c.user == bindparam("by_user"),
        room_users.c.role >= _one,
        room_users.c.read_pos < bindparam("below"),
    )
    .values(read_pos=bindparam("read_pos"), read_n=func.coalesce(_n.scalar_subquery(), literal_column("0"))),
    "read_pos from_room of up_to in_room by_user below",
)

CLAIMED = 'SELECT "key", user, scope FROM keys WHERE ("key", user, scope) IN (VALUES (?, ?, ?))'
"""Which of many keys are claimed; written out too."""

UNINDEXED = prepare(select(unindexed.c.runs), "")
CLEAR_UNINDEXED = prepare(delete(unindexed), "")
TEXTS = (
    "SELECT m.room, m.pos, m.text FROM (VALUES (?, ?, ?)) AS run "
    "CROSS JOIN messages AS m ON m.room = run.column1 AND m.pos BETWEEN run.column2 AND run.column3 "
    "WHERE m.text IS NOT NULL"
)
"""The messages of many runs: a room's number, the first and the last position."""

TOGETHER = 32
"""Most rows that go into one statement: the driver keeps a prepared one for each number of them."""


def insert_all(driver: Any, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    """Runs an insertion of one row for all of them, in order."""
    for sql, parameters in _together(statement, values):
        driver.execute(sql, parameters)


def select_all(driver: Any, statement: str, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows that a selection by one row of values finds for all of them."""
    return [row for sql, parameters in _together(statement, values) for row in driver.execute(sql, parameters)]


def _together(statement: str, values: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    for start in range(0, len(values), TOGETHER):
        some = values[start : start + TOGETHER]
        yield _of_rows(statement, len(some)), list(chain.from_iterable(some))


@lru_cache(maxsize=512)
def _of_rows(statement: str, count: int) -> str:
    """The statement with its one row of parameters repeated."""
    return re.sub(r"VALUES (\([?0, ]+\))", lambda match: "VALUES " + ", ".join([match[1]] * count), statement)
