"""What SQLite's full-text index (FTS5) finds."""

import msgspec
from sqlalchemy import Connection, column, select, table, text

from realtime.stores import words
from realtime.stores.head import words_id, words_pos
from realtime.stores.schema import unindexed

_runs = msgspec.json.Decoder(list[tuple[int, int, int]]).decode

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


def misindexed(connection: Connection, num: int, texts: list[tuple[int, str]]) -> list[int]:
    """See `realtime.stores.verify.Own`. Of each message one word is looked for. What waits to be indexed is not
    missing, nor is what has no words.
    """
    waiting = [
        (first, last)
        for runs in connection.execute(select(unindexed.c.runs)).scalars()
        for room, first, last in _runs(runs)
        if room == num
    ]
    by_word: dict[str, list[int]] = {}
    for pos, said in texts:
        expression = words.sample(said)
        if expression and not any(first <= pos <= last for first, last in waiting):
            by_word.setdefault(expression, []).append(pos)
    here = select(_INDEX.c.rowid).where(text("search MATCH :expression"), text("rowid BETWEEN :first AND :last"))
    missing: list[int] = []
    for expression, positions in by_word.items():
        given = {"first": words_id(num, positions[0]), "last": words_id(num, positions[-1])}
        found = connection.execute(here, given | {"expression": expression}).scalars()
        missing += set(positions) - {words_pos(row) for row in found}
    return sorted(missing)
