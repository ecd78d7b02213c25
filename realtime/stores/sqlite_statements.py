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

import msgspec
from sqlalchemy import ColumnElement, Table, bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from realtime.stores import words
from realtime.stores.claims import Name
from realtime.stores.head import words_id
from realtime.stores.schema import (
    events,
    keys,
    mentions,
    messages,
    outbox,
    room_users,
    rooms,
    unindexed,
    upsert,
    users,
)
from realtime.stores.statements import Row

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
    messages.c.room == bindparam("room_2"), messages.c.pos <= bindparam("up_to")
)
_next = select(func.min(messages.c.pos)).where(
    messages.c.room == bindparam("room_4"), messages.c.pos > bindparam("above")
)
_read, _unread = messages.alias(), messages.alias()
_up_to = select(_read.c.n).where(_read.c.room == bindparam("room_1"), _read.c.pos == _latest.scalar_subquery())
_before = select(_unread.c.n - _one).where(
    _unread.c.room == bindparam("room_3"), _unread.c.pos == _next.scalar_subquery()
)
_all = select(rooms.c.n).where(rooms.c.num == bindparam("room_5"))
_n = func.coalesce(_up_to.scalar_subquery(), _before.scalar_subquery(), _all.scalar_subquery())
"""How many messages there ever were up to a position, of which the first may have been pruned."""
MARK_READ = prepare(
    update(room_users)
    .where(
        room_users.c.room == bindparam("in_room"),
        room_users.c.user == bindparam("by_user"),
        room_users.c.role >= _one,
        room_users.c.read_pos < bindparam("below"),
    )
    .values(read_pos=bindparam("read_pos"), read_n=_n),
    "read_pos room_1 room_2 up_to room_3 room_4 above room_5 in_room by_user below",
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


def _together(statement: str, values: Sequence[Row]) -> Iterator[tuple[str, list[Any]]]:
    for start in range(0, len(values), TOGETHER):
        some = values[start : start + TOGETHER]
        yield _of_rows(statement, len(some)), list(chain.from_iterable(some))


@lru_cache(maxsize=512)
def _of_rows(statement: str, count: int) -> str:
    """The statement with its one row of parameters repeated."""
    return re.sub(r"VALUES (\([?0, ]+\))", lambda match: "VALUES " + ", ".join([match[1]] * count), statement)


_encode = msgspec.json.Encoder().encode
_runs = msgspec.json.Decoder(list[tuple[int, int, int]]).decode


class SQLiteStatements:
    """`realtime.stores.statements.Statements` of one transaction.

    `indexed` tells that the full-text index was brought up to date; `unindexed` counts the messages written since.
    """

    def __init__(self, driver: Any):
        self._driver = driver
        self._runs: dict[int, tuple[int, int]] = {}
        self.indexed = False
        self.unindexed = 0

    def _insert(self, statement: str, values: Sequence[Row]) -> None:
        """Runs an insertion of one row for all of them, in order."""
        for sql, parameters in _together(statement, values):
            self._driver.execute(sql, parameters)

    def _select(self, statement: str, values: Sequence[Row]) -> list[Row]:
        """The rows that a selection by one row of values finds for all of them."""
        return [
            row for sql, parameters in _together(statement, values) for row in self._driver.execute(sql, parameters)
        ]

    def rooms(self, ids: Sequence[str]) -> list[Row]:
        return self._select(ROOMS, [(room,) for room in ids])

    def claimed(self, names: Sequence[Name]) -> list[Row]:
        return self._select(CLAIMED, names)

    def claim(self, key: Row) -> bool:
        return bool(self._driver.execute(CLAIM_KEY, key).rowcount)

    def add_keys(self, keys: Sequence[Row]) -> None:
        self._insert(CLAIM_KEY, keys)

    def save_rooms(self, heads: Sequence[Row]) -> None:
        self._driver.executemany(SAVE_ROOM, heads)

    def add_users(self, users: Sequence[Row]) -> None:
        self._insert(ADD_USER, users)

    def add_events(self, events: Sequence[Row]) -> None:
        self._insert(ADD_EVENT, events)

    def add_messages(self, messages: Sequence[Row]) -> None:
        runs = self._runs
        for row in messages:
            num, pos = row[0], row[1]
            run = runs.get(num)
            runs[num] = (run[0], pos) if run else (pos, pos)
        self.unindexed += len(messages)
        self._insert(ADD_MESSAGE, messages)

    def add_mentions(self, mentions: Sequence[Row]) -> None:
        self._insert(ADD_MENTION, mentions)

    def add_writers(self, writers: Sequence[Row]) -> None:
        self._insert(ADD_WRITER, writers)

    def mark_read(self, marks: Sequence[tuple[int, str, int]]) -> None:
        marked = [(pos, num, num, pos, num, num, pos, num, num, user, pos) for num, user, pos in marks]
        self._driver.executemany(MARK_READ, marked)

    def add_records(self, lists: Sequence[str]) -> None:
        for encoded in lists:
            self._driver.execute(ADD_RECORDS, (encoded,))

    def index(self) -> None:
        """What this transaction and those before it left out (docs/decisions/0011)."""
        runs = self._runs
        for (noted,) in self._driver.execute(UNINDEXED):
            for num, first, last in _runs(noted):
                known = runs.get(num)
                runs[num] = (min(first, known[0]), max(last, known[1])) if known else (first, last)
        if runs:
            texts = self._select(TEXTS, [(num, *run) for num, run in runs.items()])
            rows_of_words = [(words_id(num, pos), words.indexed(text)) for num, pos, text in texts]
            rows_of_words.sort()  # rows out of order make the index write a segment each
            self._insert(ADD_WORDS, rows_of_words)
            self._driver.execute(CLEAR_UNINDEXED)
            runs.clear()
        self.indexed, self.unindexed = True, 0

    def reword(self, num: int, pos: int, old: str, new: str | None) -> None:
        row = words_id(num, pos)
        self._driver.execute(ERASE_WORDS, (row, words.indexed(old)))
        if new is not None:
            self._driver.execute(ADD_WORDS, (row, words.indexed(new)))

    def forget_words(self, num: int, texts: Sequence[tuple[int, str]]) -> None:
        self._driver.executemany(ERASE_WORDS, [(words_id(num, pos), words.indexed(text)) for pos, text in texts])

    def finish(self) -> None:
        if self._runs:
            runs = [(num, first, last) for num, (first, last) in self._runs.items()]
            self._driver.execute(ADD_UNINDEXED, (_encode(runs).decode(),))
