"""Retention: the oldest events of a room leave the log, and `first_pos` says from where on it is kept.

With an event goes all that hangs on it: a message's text, earlier texts, words in the search index, mentions, reactions
and pin. What stays is gapless from `first_pos` on. Nothing that a room is now depends on what has gone: its settings,
members, sanctions and counts stand in rows of their own. Reports stay, and so do interaction records that no sink has
taken yet.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, delete, func, select, update

from realtime.stores import reads, rows
from realtime.stores.schema import events, mentions, messages, originals, pins, reactions, rooms
from rooms.ids import Millis

if TYPE_CHECKING:
    from realtime.stores.common import SQLStore
    from realtime.stores.transaction import Transaction

STEP = 2_000
"""Most positions that one transaction takes out: fewer where that takes longer than STEP_S, as on SQLite, which looks
for each word of a message to erase it. So long whoever writes to SQLite waits, or to that room of PostgreSQL.
"""
FIRST_STEP = 50
STEP_S = 0.02
REACTIONS = 5_000
"""Most reactions, unless one message has more."""
PAUSE_S = 0.03
"""Least time between two transactions; it is as long as the last one took, where that is longer. Who waits for SQLite's
lock looks for it every 25 ms at first.
"""
ROOMS = 200
"""Rooms looked at together."""

_HANGING = ((originals, originals.c.target), (reactions, reactions.c.target), (pins, pins.c.target))


class Pruned(Struct):
    """What has gone, or would go."""

    rooms: int = 0
    events: int = 0


async def prune(
    store: "SQLStore", before: Millis, *, dry_run: bool, told: Callable[[str, int, int], None] = lambda *_: None
) -> Pruned:
    """Takes the events from before a time out of every room, up to the first that is not older. `told` is called with
    each room, its first position before and after.

    Safe beside running servers, and to be stopped at any moment: each transaction leaves every room whole. Raises
    Unavailable; what has gone by then is gone.
    """
    pruned = Pruned()
    num = 0
    while True:
        found = await store.read(partial(_rooms, after=num, before=before))
        for num, room, first, end in found:
            if end > first:
                last = await (_would(store, num, end, before) if dry_run else _prune(store, room, before))
                pruned.rooms += 1
                pruned.events += last - first
                told(room, first, last)
        if len(found) < ROOMS:
            return pruned


def _rooms(connection: Connection, after: int, before: Millis) -> list[tuple[int, str, int, int]]:
    """The next rooms: number, id, first position, and one that lies above where something is old enough."""
    query = select(rooms.c.num, rooms.c.id, rooms.c.first_pos).where(rooms.c.num > after)
    found = connection.execute(query.order_by(rooms.c.num).limit(ROOMS)).all()
    return [(num, room, first, _end(connection, num, first, before, 1)) for num, room, first in found]


async def _would(store: "SQLStore", num: int, end: int, before: Millis) -> int:
    """The first position that would stay."""
    while (further := await store.read(partial(_end, num=num, first=end, before=before, most=STEP))) > end:
        end = further
    return end


async def _prune(store: "SQLStore", room: str, before: Millis) -> int:
    """Returns the room's first position from now on."""
    most = min(FIRST_STEP, STEP)
    while True:
        began = time.monotonic()
        first, more = await store.run(partial(_step, room=room, before=before, most=most), of=room, rooms=(room,))
        if not more:
            return first
        took = time.monotonic() - began
        most = max(1, min(STEP, 2 * most, int(most * STEP_S / took)))
        await asyncio.sleep(max(PAUSE_S, took))


def _end(connection: Connection, num: int, first: int, before: Millis, most: int) -> int:
    """The first position from `first` on that one transaction, which takes out at most so many, leaves."""
    last = connection.execute(select(rooms.c.pos).where(rooms.c.num == num)).scalar_one()
    end = int(min(first + most, last + 1))
    for table in (messages, events):
        here = (table.c.room == num, table.c.pos >= first, table.c.pos < end)
        recent = connection.execute(select(func.min(table.c.pos)).where(*here, table.c.at >= before)).scalar_one()
        end = end if recent is None else int(recent)
    many = (
        select(reactions.c.target)
        .where(reactions.c.room == num, reactions.c.target >= first, reactions.c.target < end)
        .order_by(reactions.c.target)
        .offset(REACTIONS)
        .limit(1)
    )
    crowded = connection.execute(many).scalar_one_or_none()
    return end if crowded is None else max(first + 1, int(crowded))


def _step(tx: "Transaction", room: str, before: Millis, most: int) -> tuple[int, bool]:
    """One transaction. Returns the room's first position, and whether there may be more to take out."""
    head = tx.head(room)
    if head is None:
        raise ValueError(f"room {room} is not there")
    num = head.num
    first = reads.first_position(tx.core, num)
    end = _end(tx.core, num, first, before, most)
    if end == first:
        return first, False
    tx.index()
    said = select(messages.c.pos, messages.c.author, messages.c.text, messages.c.mentions).where(
        messages.c.room == num, messages.c.pos < end
    )
    found = tx.core.execute(said).all()
    tx.sql.forget_words(num, [(row.pos, row.text) for row in found if row.text is not None])
    # By their keys: no index of mentions leads to a position.
    for row in found:
        for user in rows.ids(row.mentions):
            one = (mentions.c.room == num) & (mentions.c.user == user) & (mentions.c.pos == row.pos)
            tx.core.execute(delete(mentions).where(one))
    for table, position in (*_HANGING, (messages, messages.c.pos), (events, events.c.pos)):
        tx.core.execute(delete(table).where(table.c.room == num, position < end))
    tx.core.execute(update(rooms).where(rooms.c.num == num).values(first_pos=end))
    tx.erased = True
    return end, True
