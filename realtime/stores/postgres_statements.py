"""PostgreSQL's statements of the writer's hot path: one each for any number of rows, whose columns go as arrays.

So each is prepared once, and a transaction is as many turns to the server as it has kinds of rows. Arrays are written
out here: the driver's own way asks each element for its type.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from realtime.stores.claims import Name
from realtime.stores.postgres_driver import BoundedConnection
from realtime.stores.postgres_search import vector
from realtime.stores.statements import Row


def _integers(values: Iterable[int | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _texts(values: Iterable[str | None]) -> str:
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    ]
    return "{" + ",".join(quoted) + "}"


def _bytes(values: Iterable[bytes]) -> str:
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


_KINDS: dict[str, tuple[str, Callable[[Iterable[Any]], str]]] = {
    "i": ("bigint", _integers),
    "t": ("text", _texts),
    "b": ("bytea", _bytes),
    "w": ("tsvector", _texts),
}
"""Letter of a column's type → its name, and how an array of it is written."""


class _Statement:
    """`sql` with `{rows}` for a set of rows, whose columns have the types `kinds`, a letter each."""

    def __init__(self, sql: str, kinds: str):
        self._write = [_KINDS[kind][1] for kind in kinds]
        self.sql = sql.format(rows=f"unnest({', '.join(f'%s::{_KINDS[kind][0]}[]' for kind in kinds)})")

    def run(self, connection: BoundedConnection, rows: Sequence[Row]) -> Any:
        arrays = [write(column) for write, column in zip(self._write, zip(*rows, strict=True), strict=True)]
        return connection.execute(self.sql, arrays, prepare=True)


_ROOMS = _Statement(
    "SELECT id, num, pos, rules_pos, n, last_at FROM rooms WHERE id IN (SELECT {rows}) ORDER BY id FOR UPDATE", "t"
)
"""Locked in the order of their ids on every node, so that no two wait for each other."""
_CLAIMED = _Statement(
    'SELECT k."key", k."user", k.scope FROM {rows} AS asked("key", "user", scope) JOIN keys AS k '
    'ON k."key" = asked."key" AND k."user" = asked."user" AND k.scope = asked.scope',
    "ttt",
)
_ADD_KEYS = _Statement('INSERT INTO keys ("key", "user", scope, body, reply, at) SELECT * FROM {rows}', "tttbti")
"""Fails where another transaction has claimed one since, and the whole is done again."""
_CLAIM = _Statement(
    'INSERT INTO keys ("key", "user", scope, body, reply, at) SELECT * FROM {rows} ON CONFLICT DO NOTHING', "tttbti"
)
_SAVE_ROOMS = _Statement(
    "UPDATE rooms SET pos = new.pos, rules_pos = new.rules_pos, n = new.n, last_at = new.last_at "
    "FROM {rows} AS new(pos, rules_pos, n, last_at, num) WHERE rooms.num = new.num",
    "iiiii",
)
_ADD_USERS = _Statement(
    "INSERT INTO users (id, name, folded, avatar) SELECT * FROM {rows} ON CONFLICT (id) DO UPDATE SET "
    "name = excluded.name, folded = excluded.folded, avatar = excluded.avatar WHERE users.name IS NULL",
    "tttt",
)
_ADD_EVENTS = _Statement(
    "INSERT INTO events (room, pos, type, at, author, role, target, subject, payload) SELECT * FROM {rows}",
    "iitittitt",
)
_ADD_MESSAGES = _Statement(
    "INSERT INTO messages (room, pos, n, at, author, role, text, mentions, reply_to, words) SELECT * FROM {rows}",
    "iiiittttiw",
)
_ADD_MENTIONS = _Statement(
    'INSERT INTO mentions (room, "user", pos) SELECT * FROM {rows} ON CONFLICT DO NOTHING', "iti"
)
_ADD_WRITERS = _Statement(
    'INSERT INTO room_users (room, "user", last_at, read_pos, read_n, role, joined_pos, muted_until, banned_until) '
    'SELECT *, 0, 0, 0, 0 FROM {rows} ON CONFLICT (room, "user") DO UPDATE SET '
    "last_at = excluded.last_at, read_pos = excluded.read_pos, read_n = excluded.read_n",
    "itiii",
)
_MARK_READ = _Statement(
    "UPDATE room_users AS mine SET read_pos = new.pos, read_n = coalesce((SELECT m.n FROM messages AS m "
    "WHERE m.room = new.room AND m.pos <= new.pos ORDER BY m.pos DESC LIMIT 1), "
    "(SELECT m.n - 1 FROM messages AS m WHERE m.room = new.room AND m.pos > new.pos ORDER BY m.pos LIMIT 1), "
    "(SELECT n FROM rooms WHERE num = new.room)) "
    'FROM {rows} AS new(room, "user", pos) WHERE mine.room = new.room AND mine."user" = new."user" '
    "AND mine.role >= 1 AND mine.read_pos < new.pos",
    "iti",
)
"""`n`: how many messages there ever were up to the position, of which the first may have been pruned."""
_ADD_RECORDS = _Statement("INSERT INTO outbox (records) SELECT * FROM {rows}", "t")
_REWORD = "UPDATE messages SET words = %s::tsvector WHERE room = %s AND pos = %s"


class PostgresStatements:
    """`realtime.stores.statements.Statements` of one transaction."""

    def __init__(self, connection: BoundedConnection):
        self._connection = connection

    def rooms(self, ids: Sequence[str]) -> Iterable[Row]:
        return self._read(_ROOMS, [(room,) for room in ids])

    def claimed(self, names: Sequence[Name]) -> Iterable[Row]:
        return self._read(_CLAIMED, names)

    def _read(self, statement: _Statement, rows: Sequence[Row]) -> list[Row]:
        found: list[Row] = statement.run(self._connection, rows).fetchall()
        return found

    def claim(self, key: Row) -> bool:
        return bool(_CLAIM.run(self._connection, [key]).rowcount)

    def add_keys(self, keys: Sequence[Row]) -> None:
        _ADD_KEYS.run(self._connection, keys)

    def save_rooms(self, heads: Sequence[Row]) -> None:
        _SAVE_ROOMS.run(self._connection, heads)

    def add_users(self, users: Sequence[Row]) -> None:
        _ADD_USERS.run(self._connection, sorted(users))  # other lanes and nodes add them too: in one order

    def add_events(self, events: Sequence[Row]) -> None:
        _ADD_EVENTS.run(self._connection, events)

    def add_messages(self, messages: Sequence[Row]) -> None:
        _ADD_MESSAGES.run(self._connection, [(*row, vector(row[0], row[6])) for row in messages])

    def add_mentions(self, mentions: Sequence[Row]) -> None:
        _ADD_MENTIONS.run(self._connection, mentions)

    def add_writers(self, writers: Sequence[Row]) -> None:
        _ADD_WRITERS.run(self._connection, writers)

    def mark_read(self, marks: Sequence[tuple[int, str, int]]) -> None:
        _MARK_READ.run(self._connection, marks)

    def add_records(self, lists: Sequence[str]) -> None:
        _ADD_RECORDS.run(self._connection, [(encoded,) for encoded in lists])

    def index(self) -> None:
        """Nothing waits: a message's words are written with it."""

    def reword(self, num: int, pos: int, old: str, new: str | None) -> None:
        words = vector(num, new) if new is not None else None
        self._connection.execute(_REWORD, (words, num, pos), prepare=True)

    def forget_words(self, num: int, texts: Sequence[tuple[int, str]]) -> None:
        """They go with their messages."""

    def finish(self) -> None:
        """Nothing is left over."""
