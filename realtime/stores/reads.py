"""What deciding needs to know: who may see a room, its state, people, messages, keys. Functions of a connection."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, func, or_, select, tuple_

from realtime.ports import Access, Duplicate, Found, KeyClaim, KeyReused, Loaded, Profile
from realtime.stores import lists, rows, streams
from realtime.stores.schema import invites, keys, messages, pins, reactions, room_users, rooms, users
from rooms.actors import Role
from rooms.effects import Invite
from rooms.ids import Millis
from rooms.live import Stream
from rooms.mentions import Named
from rooms.room import RECENT_MESSAGES, Message, Person, Room
from rooms.settings import Settings

ALL_PEOPLE = 200
"""Of more people than this a loaded room brings owners and moderators only."""

CLOCKS_APART_MS = 60_000
"""How far times may run against positions, as nodes' clocks differ."""

_settings = msgspec.json.Decoder(Settings).decode

_PERSON = (
    room_users.c.user,
    room_users.c.role.label("rank"),
    room_users.c.joined_pos,
    room_users.c.last_at,
    room_users.c.muted_until,
    room_users.c.banned_until,
    users.c.name,
    users.c.avatar,
)
_PEOPLE = select(*_PERSON).select_from(room_users).outerjoin(users, users.c.id == room_users.c.user)
_MESSAGES = select(messages, users.c.name, users.c.avatar).outerjoin(users, users.c.id == messages.c.author)


def _person(row: Any) -> Person:
    return Person(
        user=row.user,
        name=row.name or row.user,
        avatar=row.avatar,
        role=Role(row.rank),
        joined_pos=row.joined_pos,
        last_at=row.last_at,
        muted_until=row.muted_until,
        banned_until=row.banned_until,
    )


_ROOMS = select(rooms.c.id, rooms.c.num, rooms.c.visibility, rooms.c.pos).where(
    rooms.c.id.in_(bindparam("ids", expanding=True))
)
_MEMBERS = _PEOPLE.add_columns(room_users.c.room).where(
    tuple_(room_users.c.room, room_users.c.user).in_(bindparam("pairs", expanding=True))
)
_HEADS = select(rooms.c.id, rooms.c.epoch, rooms.c.pos).where(rooms.c.id.in_(bindparam("ids", expanding=True)))
_PROFILES = select(users).where(users.c.id.in_(bindparam("ids", expanding=True)))
"""Made once, as everybody who comes asks: making a statement takes longer than running it."""


def accesses(connection: Connection, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], Access]:
    """A room that is not there has the number 0 in the second query, as no room has."""
    found = {row.id: row for row in connection.execute(_ROOMS, {"ids": list({room for room, _ in asked})})}
    wanted = [(found[room].num if room in found else 0, user) for room, user in asked]
    people = {(row.room, row.user): _person(row) for row in connection.execute(_MEMBERS, {"pairs": wanted})}
    return {
        (room, user): Access(found[room].visibility, people.get((found[room].num, user)), found[room].pos)
        for room, user in asked
        if room in found
    }


def heads(connection: Connection, asked: Collection[str]) -> dict[str, tuple[str, int]]:
    return {row.id: (row.epoch, row.pos) for row in connection.execute(_HEADS, {"ids": list(asked)})}


def room_number(connection: Connection, room: str) -> int | None:
    return connection.execute(select(rooms.c.num).where(rooms.c.id == room)).scalar_one_or_none()


def first_positions(connection: Connection, asked: Collection[str]) -> dict[str, int]:
    found = connection.execute(select(rooms.c.id, rooms.c.first_pos).where(rooms.c.id.in_(asked)))
    return {row.id: row.first_pos for row in found}


def first_position(connection: Connection, num: int) -> int:
    return int(connection.execute(select(rooms.c.first_pos).where(rooms.c.num == num)).scalar_one())


def load(connection: Connection, room_id: str) -> Loaded | None:
    row = connection.execute(select(rooms).where(rooms.c.id == room_id)).one_or_none()
    if row is None:
        return None
    room = Room(room_id)
    room.pos, room.rules_pos, room.n, room.members = row.pos, row.rules_pos, row.n, row.members
    room.kind, room.title, room.visibility, room.closed = row.kind, row.title, row.visibility, row.closed
    room.settings, room.since = _settings(row.settings), row.since
    pinned = connection.execute(select(pins.c.target, pins.c.until).where(pins.c.room == row.num))
    room.pins = {row.target: row.until for row in pinned}
    room.live = streams.open_lives(connection, [row.num]).get(row.num)
    people = _PEOPLE.where(room_users.c.room == row.num)
    staff = [_person(p) for p in connection.execute(people.where(room_users.c.role >= Role.MODERATOR))]
    room.staff = {person.user: person.role for person in staff}
    everybody = [_person(p) for p in connection.execute(people.limit(ALL_PEOPLE + 1))]
    all_people = len(everybody) <= ALL_PEOPLE
    room.people = {person.user: person for person in (everybody if all_people else staff)}
    recent = _MESSAGES.where(messages.c.room == row.num).order_by(messages.c.pos.desc()).limit(RECENT_MESSAGES)
    room.messages = dict(sorted(_messages(connection, row.num, row.kind, recent).items()))
    room.whole = all_people and row.n <= RECENT_MESSAGES
    return Loaded(room, row.epoch, row.first_pos)


def _messages(connection: Connection, num: int, kind: str, query: Any) -> dict[int, Message]:
    """Messages by position. Live rooms' reactions stand beside the log and by the thousand: they are not read."""
    found = connection.execute(query).all()
    reacted: dict[int, dict[str, set[str]]] = {}
    if kind == "group" and found:
        those = select(reactions.c.target, reactions.c.emoji, reactions.c.user).where(
            reactions.c.room == num, reactions.c.target.in_([row.pos for row in found])
        )
        for target, emoji, user in connection.execute(those.order_by(reactions.c.target, reactions.c.rank)):
            reacted.setdefault(target, {}).setdefault(emoji, set()).add(user)
    return {
        row.pos: Message(
            pos=row.pos,
            at=row.at,
            by=rows.by(row.author, row.name, row.role, row.avatar),
            n=row.n,
            text=row.text,
            mentions=rows.ids(row.mentions),
            reply_to=row.reply_to,
            edited_at=row.edited_at,
            reactions=tuple((emoji, frozenset(who)) for emoji, who in reacted.get(row.pos, {}).items()),
        )
        for row in found
    }


def find(
    connection: Connection,
    room: str,
    *,
    people: Collection[str],
    positions: Collection[int],
    names: Collection[str],
    invite: str | None,
    pending: str | None,
    purge: tuple[str, Millis] | None,
    purge_limit: int,
    stream: bool,
    recording: str | None,
) -> Found:
    row = connection.execute(select(rooms.c.num, rooms.c.kind).where(rooms.c.id == room)).one_or_none()
    num, kind = (row.num, row.kind) if row is not None else (0, "group")  # no room has the number 0
    who: dict[str, Person | None] = dict.fromkeys(people)
    if people:
        query = _PEOPLE.where(room_users.c.room == num, room_users.c.user.in_(people))
        who |= {found.user: _person(found) for found in connection.execute(query)}
    what: dict[int, Message | None] = dict.fromkeys(positions)
    if positions:
        query = _MESSAGES.where(messages.c.room == num, messages.c.pos.in_(positions))
        what |= _messages(connection, num, kind, query)
    return Found(
        people=who,
        messages=what,
        named=_named(connection, num, kind, names) if names else Named(),
        invite=_invite(connection, room, invite) if invite is not None else None,
        pending=lists.pending_by_id(connection, room, pending) if pending is not None else None,
        purge=_purge(connection, num, *purge, purge_limit) if purge is not None else (),
        stream=streams.stream(connection, num) if stream else Stream(),
        recording=streams.recording(connection, room, recording) if recording is not None else None,
    )


def _named(connection: Connection, num: int, kind: str, names: Collection[str]) -> Named:
    folded = {name.casefold() for name in names}
    query = (
        select(users.c.id, users.c.folded)
        .join(room_users, and_(room_users.c.room == num, room_users.c.user == users.c.id))
        .where(or_(users.c.id.in_(names), users.c.folded.in_(folded)))
    )
    belongs = room_users.c.role >= Role.MEMBER
    query = query.where(or_(belongs, room_users.c.last_at > 0) if kind == "live" else belongs)
    ids: set[str] = set()
    bearers: dict[str, str | None] = {}
    for user, name in connection.execute(query):
        if user in names:
            ids.add(user)
        if name in folded:
            bearers[name] = None if name in bearers else user
    return Named(frozenset(ids), bearers)


def _invite(connection: Connection, room: str, code: str) -> Invite | None:
    query = select(invites, rooms.c.id).join(rooms).where(invites.c.code == code, rooms.c.id == room)
    row = connection.execute(query).one_or_none()
    return Invite(row.code, row.id, row.by, row.uses, row.until) if row is not None else None


def _purge(connection: Connection, num: int, user: str, since: Millis, limit: int) -> tuple[int, ...]:
    """Reads back to the newest message that is certainly older: an index by author would cost every message sent."""
    older = messages.alias()
    last_older = (
        select(older.c.pos)
        .where(older.c.room == num, older.c.at < since - CLOCKS_APART_MS)
        .order_by(older.c.pos.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(messages.c.pos)
        .where(
            messages.c.room == num,
            messages.c.pos > func.coalesce(last_older, 0),
            messages.c.author == user,
            messages.c.at >= since,
            messages.c.text.is_not(None),
        )
        .order_by(messages.c.pos.desc())
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def invite_room(connection: Connection, code: str) -> str | None:
    return connection.execute(
        select(rooms.c.id).join(invites, invites.c.room == rooms.c.num).where(invites.c.code == code)
    ).scalar_one_or_none()


def duplicate(connection: Connection, claim: KeyClaim) -> Duplicate | KeyReused | None:
    query = select(keys.c.body, keys.c.reply).where(
        keys.c.user == claim.user, keys.c.scope == claim.scope, keys.c.key == claim.key
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Duplicate(msgspec.json.decode(row.reply)) if row.body == claim.body else KeyReused()


def profiles(connection: Connection, asked: Collection[str]) -> dict[str, Profile]:
    found = connection.execute(_PROFILES, {"ids": list(asked)})
    return {row.id: Profile(row.id, row.name or row.id, row.avatar, row.valid_after) for row in found}


def events(connection: Connection, room: str, after: int, to: int, limit: int) -> list[Any]:
    num = room_number(connection, room)
    return rows.read_events(connection, room, num, after, to, limit) if num is not None else []
