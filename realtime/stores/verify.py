"""Whether a database agrees with itself: each room's log has no hole, and what follows from a log is what stands beside
it.

A room is read in one snapshot, so servers may write meanwhile, and a page at a time, so that it may be of any length.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Table, func, select

from realtime.stores import rows
from realtime.stores.schema import (
    events,
    invites,
    lives,
    mentions,
    messages,
    originals,
    pending,
    pins,
    reactions,
    recordings,
    reports,
    room_users,
    rooms,
    stream_keys,
    streams,
)
from realtime.stores.verify_messages import verify_messages
from realtime.stores.verify_people import verify_people
from rooms.events import Logged

if TYPE_CHECKING:
    from realtime.stores.common import SQLStore

PAGE = 1_000
"""Events read together."""
MOST = 100
"""Problems told of one room."""
ROOMS = 500

OF_ROOMS = (
    events, messages, originals, mentions, reactions, pins, room_users, invites, pending, reports, lives, streams,
    stream_keys, recordings,
)  # fmt: skip


class Problem(Struct, frozen=True):
    """What is wrong, in words; `room` is empty for what is no room's. `pos`: where, if at a position."""

    room: str
    pos: int | None
    what: str


class Verified(Struct):
    rooms: int = 0
    events: int = 0
    messages: int = 0
    problems: int = 0


class Own(NamedTuple):
    """What is asked of each database in its own way."""

    damage: Callable[[Connection], list[str]]
    """What it finds wrong with its own files."""
    misindexed: Callable[[Connection, int, list[tuple[int, str]]], list[int]]
    """Of a room's messages (position and text) those that the full-text index does not hold."""


class Told:
    """Gathers the problems of one room, MOST of them."""

    def __init__(self, room: str):
        self.problems: list[Problem] = []
        self.count = 0
        self.unreadable = False
        """Whether there are events of which nothing can be made."""
        self._room = room

    def __call__(self, pos: int | None, what: str) -> None:
        self.count += 1
        if self.count <= MOST:
            self.problems.append(Problem(self._room, pos, what))

    def end(self) -> None:
        if self.count > MOST:
            self.problems.append(Problem(self._room, None, f"{self.count - MOST} more problems"))


async def verify(store: "SQLStore", told: Callable[[Problem], None], room: str | None = None) -> Verified:
    """Looks through one room, or through all and the database as such; tells each problem. Raises Unavailable."""
    verified = Verified()

    def tell(problems: list[Problem]) -> None:
        verified.problems += len(problems)
        for problem in problems:
            told(problem)

    if room is None:
        damage = await store.scan(lambda connection, _: store.own.damage(connection))
        tell([Problem("", None, what) for what in damage])
        tell(await store.scan(_of_no_room))
    after = 0
    while found := await store.read(partial(_next, room=room, after=after)):
        for num in found:
            problems, counted = await store.scan(partial(_room, num=num, own=store.own))
            verified.rooms += 1
            verified.events += counted[0]
            verified.messages += counted[1]
            tell(problems)
        after = found[-1]
    return verified


def _next(connection: Connection, room: str | None, after: int) -> list[int]:
    query = select(rooms.c.num).where(rooms.c.num > after).order_by(rooms.c.num).limit(ROOMS)
    return list(connection.execute(query if room is None else query.where(rooms.c.id == room)).scalars())


def _of_no_room(connection: Connection, alive: Callable[[], None]) -> list[Problem]:
    told = Told("")
    for table in OF_ROOMS:
        alive()
        nobodys = select(table.c.room).outerjoin(rooms, rooms.c.num == table.c.room).where(rooms.c.num.is_(None))
        for num in connection.execute(nobodys.distinct().limit(MOST)).scalars():
            told(None, f"{table.name}: rows of a room numbered {num}, which is not there")
    told.end()
    return told.problems


# A room


def _room(
    connection: Connection, alive: Callable[[], None], num: int, own: Own
) -> tuple[list[Problem], tuple[int, int]]:
    """What is wrong; and how many events and messages there are."""
    row = connection.execute(select(rooms).where(rooms.c.num == num)).one()
    told = Told(row.id)
    if not (row.epoch.isascii() and row.epoch.isalnum() and len(row.epoch) <= 32):
        told(None, f"the epoch {row.epoch!r} is not 1 to 32 letters and digits")
    log = partial(_log, connection, alive, row, told)
    count = _positions(connection, row, log(), told)
    verify_people(connection, alive, row, log if row.first_pos == 1 and not told.count else None, told)
    said = 0 if told.unreadable else verify_messages(connection, alive, row, told, own.misindexed)
    told.end()
    return told.problems, (count, said)


def _log(connection: Connection, alive: Callable[[], None], row: Any, told: Told) -> Iterator[Logged]:
    """The room's events in order, up to one that cannot be read."""
    after, limit = row.first_pos - 1, PAGE
    while after < row.pos:
        alive()
        try:
            page = rows.read_events(connection, row.id, row.num, after, row.pos, limit)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            if limit == 1:
                told.unreadable = True
                told(after + 1, f"the next event cannot be read: {error!r}")
                return
            limit = 1
            continue
        if not page:
            return
        yield from page
        after = page[-1].pos


def _positions(connection: Connection, row: Any, log: Iterator[Logged], told: Told) -> int:
    """Whether there is one event at each position from the first to the last. Returns how many there are."""
    count, last, at = 0, row.first_pos - 1, row.last_at
    for event in log:
        count += 1
        if event.pos == last:
            told(last, "two events at one position")
        elif event.pos > last + 1:
            told(last + 1, f"no events from here to {event.pos - 1}")
        last, at = event.pos, event.at
    if last != row.pos:
        told(last + 1, f"no events from here to {row.pos}, the room's last position")
    elif at != row.last_at:
        told(last, f"the last event is of {at}, the room says {row.last_at}")
    if row.rules_pos > row.pos:
        told(row.rules_pos, "the room's last restricting event lies after its last position")
    for table in (events, messages):
        first, end = _ends(connection, table, row.num)
        if first is not None and first < row.first_pos:
            told(first, f"{table.name}: rows from before first_pos, {row.first_pos}")
        if end is not None and end > row.pos:
            told(end, f"{table.name}: rows from after the room's last position, {row.pos}")
    return count


def _ends(connection: Connection, table: Table, num: int) -> tuple[int | None, int | None]:
    first, end = connection.execute(
        select(func.min(table.c.pos), func.max(table.c.pos)).where(table.c.room == num)
    ).one()
    return first, end
