"""What SQLite's full-text index (FTS5) finds."""

from sqlalchemy import Connection, column, select, table, text

from realtime.stores import words
from realtime.stores.head import words_id, words_pos
from realtime.stores.schema import unindexed

_INDEX = table("search", column("rowid"))


def any_unindexed(connection: Connection) -> bool:
    """Whether there are messages that a search would not find yet."""
    return connection.execute(select(unindexed.c.seq).limit(1)).first() is not None


def hits(connection: Connection, num: int, query: str, from_pos: int, below: int, limit: int) -> list[int]:
    """See `realtime.stores.timeline.Hits`."""
    expression = words.match(query)
    if not expression:
        return []
    # A position beyond a row's bits would reach into the rooms that follow in the index.
    last = min(below - 1, words_pos(-1))
    found = (
        select(_INDEX.c.rowid)
        .where(
            text("search MATCH :expression"),
            _INDEX.c.rowid >= words_id(num, from_pos),
            _INDEX.c.rowid <= words_id(num, last),
        )
        .order_by(_INDEX.c.rowid.desc())
        .limit(limit)
    )
    return [words_pos(row) for row in connection.execute(found, {"expression": expression}).scalars()]
