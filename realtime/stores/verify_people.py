"""The room's head, its people and what they have read: as a fold of the log has them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from realtime.stores.schema import events, messages, pins, room_users, rooms
from realtime.stores.streams import open_lives
from rooms import events as e
from rooms.actors import Role
from rooms.room import Person, Room
from rooms.settings import Settings

PEOPLE = 10_000
"""People compared in one pass over the log."""
STRANGERS = 10

Tell = Callable[[int | None, str], None]
Log = Callable[[], Iterator[e.Logged]]

_HEAD = ("pos", "rules_pos", "n", "kind", "title", "visibility", "settings", "closed", "since", "members")


def verify_people(
    connection: Connection,
    alive: Callable[[], None],
    row: Any,
    log: Log | None,
    told: Tell,
) -> None:
    """`log` gives the room's events, from the first; None where they are not all there, and nothing can be folded."""
    members = select(func.count()).where(room_users.c.room == row.num, room_users.c.role >= Role.MEMBER)
    if (count := connection.execute(members).scalar_one()) != row.members:
        told(None, f"{count} members, the room says {row.members}")
    _strangers(connection, row.num, told)
    after = ""
    while True:
        alive()
        page = _page(connection, row, after)
        for person in page:
            _read(person, row, told)
        if log is not None and (page or not after):
            folded = _fold(row.id, log(), [person.user for person in page])
            if not after:
                _head(connection, row, folded, told)
            for person in page:
                _person(person, folded.people[person.user], told)
        if len(page) < PEOPLE:
            return
        after = page[-1].user


def _strangers(connection: Connection, num: int, told: Tell) -> None:
    """Whoever has said something, or has had something done to them, is one of the room's people."""
    for table, column in ((messages, messages.c.author), (events, events.c.subject)):
        known = select(room_users.c.user).where(room_users.c.room == num, room_users.c.user == column).exists()
        unknown = select(func.min(table.c.pos), column).where(table.c.room == num, column.is_not(None), ~known)
        for pos, user in connection.execute(unknown.group_by(column).order_by(column).limit(STRANGERS)):
            told(pos, f"{table.name}: {user!r} is none of the room's people")


def _page(connection: Connection, row: Any, after: str) -> list[Any]:
    """People by id, those after an id, with how many messages there are up to what they have read."""
    up_to = (
        select(messages.c.n)
        .where(messages.c.room == room_users.c.room, messages.c.pos <= room_users.c.read_pos)
        .order_by(messages.c.pos.desc())
        .limit(1)
        .scalar_subquery()
    )
    following = (
        select(messages.c.n - 1)
        .where(messages.c.room == room_users.c.room, messages.c.pos > room_users.c.read_pos)
        .order_by(messages.c.pos)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(room_users, func.coalesce(up_to, following, rooms.c.n).label("counted"))
        .join(rooms, rooms.c.num == room_users.c.room)
        .where(room_users.c.room == row.num, room_users.c.user > after)
    )
    return list(connection.execute(query.order_by(room_users.c.user).limit(PEOPLE)))


def _read(person: Any, row: Any, told: Tell) -> None:
    if person.read_pos > row.pos:
        told(person.read_pos, f"{person.user!r} has read further than the room's last position, {row.pos}")
    elif person.read_pos >= row.first_pos - 1 and person.read_n != person.counted:
        told(person.read_pos, f"{person.user!r} has read {person.counted} messages, noted are {person.read_n}")


def _fold(room_id: str, log: Iterable[e.Logged], users: list[str]) -> Room:
    """Of the people only `users`, and no messages, however long the log is."""
    room = Room(room_id)
    room.whole = False
    for user in users:
        room.know_person(user, None)
    for event in log:
        room.apply(event)
        room.messages.clear()
        if isinstance(event, e.RoomCreated) and event.by.id not in users:
            room.forget_person(event.by.id)
    return room


def _head(connection: Connection, row: Any, folded: Room, told: Tell) -> None:
    for name in _HEAD:
        stored, by_log = getattr(row, name), getattr(folded, name)
        if name == "settings":
            stored = msgspec.json.decode(stored, type=Settings)
        if stored != by_log:
            told(None, f"{name}: {stored!r}, by the log {by_log!r}")
    query = select(room_users.c.user, room_users.c.role).where(
        room_users.c.room == row.num, room_users.c.role >= Role.MODERATOR
    )
    staff = {user: Role(role) for user, role in connection.execute(query)}
    _differ("staff", staff, folded.staff, told)
    pinned = connection.execute(select(pins.c.target, pins.c.until).where(pins.c.room == row.num))
    lives = open_lives(connection, [row.num])
    if lives.get(row.num) != folded.live:
        told(None, f"live: {lives.get(row.num)!r}, by the log {folded.live!r}")
    _differ("pins", {pin.target: pin.until for pin in pinned}, folded.pins, told)


def _differ(what: str, stored: dict[Any, Any], by_log: dict[Any, Any], told: Tell) -> None:
    keys = [key for key in stored.keys() | by_log.keys() if stored.get(key) != by_log.get(key)]
    for key in islice(sorted(keys), STRANGERS):
        told(None, f"{what}: {key!r} is {stored.get(key)!r}, by the log {by_log.get(key)!r}")


def _person(stored: Any, folded: Person | None, told: Tell) -> None:
    """`last_at` may be later than the log says: messages that wait for approval count for slow mode too."""
    by_log = folded or Person(user=stored.user, name="")
    for name in ("role", "joined_pos", "muted_until", "banned_until"):
        if getattr(stored, name) != getattr(by_log, name):
            told(None, f"{stored.user!r}: {name} {getattr(stored, name)!r}, by the log {getattr(by_log, name)!r}")
    if stored.last_at < by_log.last_at:
        told(None, f"{stored.user!r}: last_at {stored.last_at!r}, by the log {by_log.last_at!r}")
