"""Lists of members, rooms, invites, waiting messages, read marks and records. Functions of a connection."""

import base64
import binascii
from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, and_, bindparam, case, func, or_, select, tuple_

from realtime.ports import MemberRow, ReadState, RoomRow
from realtime.stores import streams
from realtime.stores.schema import invites, mentions, messages, outbox, pending, room_users, rooms, users
from rooms.actors import BY_WIRE, Actor, Role
from rooms.effects import Invite, Pending
from rooms.ids import Kind, Millis, SafeInteger
from rooms.live import Live
from rooms.mentions import EVERYBODY
from rooms.records import Record
from rooms.settings import Settings

_settings = msgspec.json.Decoder(Settings).decode
_actor = msgspec.json.Decoder(Actor).decode
_records = msgspec.json.Decoder(list[Record]).decode


def members(
    connection: Connection, room: str, *, role: str | None, after: str | None, limit: int, now: Millis
) -> list[MemberRow]:
    query = (
        select(room_users.c.user, room_users.c.role, room_users.c.muted_until, users.c.name, users.c.avatar)
        .join(rooms, rooms.c.num == room_users.c.room)
        .outerjoin(users, users.c.id == room_users.c.user)
        .where(rooms.c.id == room)
        .order_by(room_users.c.user)
        .limit(limit)
    )
    query = query.where(room_users.c.role == BY_WIRE[role] if role is not None else room_users.c.role >= Role.MEMBER)
    if after is not None:
        query = query.where(room_users.c.user > after)
    return [
        MemberRow(
            row.user,
            row.name or row.user,
            Role(row.role).wire,
            row.avatar,
            row.muted_until if row.muted_until > now else None,
        )
        for row in connection.execute(query)
    ]


# Rooms


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    """The last room that was listed: by what (`popular` or not), its value of that, and its number."""

    popular: bool
    value: SafeInteger
    num: SafeInteger


def _cursor(text: str, popular: bool) -> _Cursor:
    try:
        padded = text.encode() + b"=" * (-len(text) % 4)
        cursor = msgspec.msgpack.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=_Cursor)
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError) as error:
        raise ValueError("not a cursor of this list") from error
    if cursor.popular != popular:
        raise ValueError("a cursor of another list")
    return cursor


def _after(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def room_list(
    connection: Connection,
    user: str,
    *,
    mine: bool,
    everything: bool,
    kind: Kind | None,
    popular: bool,
    cursor: str | None,
    limit: int,
) -> tuple[list[RoomRow], str | None]:
    """Each part of the list (public rooms, one's own, ...) comes from an index in order; the parts are then merged."""
    order = rooms.c.members if popular else rooms.c.last_at
    query = select(rooms, room_users.c.role, order.label("value")).order_by(order.desc(), rooms.c.num.desc())
    query = query.limit(limit + 1)
    if kind is not None:
        query = query.where(rooms.c.kind == kind)
    if cursor is not None:
        last = _cursor(cursor, popular)
        query = query.where(tuple_(order, rooms.c.num) < (last.value, last.num))
    own = query.select_from(room_users).join(rooms, rooms.c.num == room_users.c.room)
    parts = [own.where(room_users.c.user == user, room_users.c.role >= Role.MEMBER)]
    if not mine:
        others = query.select_from(rooms).outerjoin(
            room_users, and_(room_users.c.room == rooms.c.num, room_users.c.user == user)
        )
        kinds: Iterable[tuple[str, bool]] = [("public", False)]
        if everything:
            kinds = product(("public", "private"), (False, True))
        parts += [
            others.where(rooms.c.visibility == visibility, rooms.c.closed == closed) for visibility, closed in kinds
        ]
    found = {row.num: row for part in parts for row in connection.execute(part)}
    listed = sorted(found.values(), key=lambda row: (row.value, row.num), reverse=True)
    more = len(listed) > limit
    listed = listed[:limit]
    following = _after(_Cursor(popular, listed[-1].value, listed[-1].num)) if more else None
    lives = streams.open_lives(connection, [row.num for row in listed if row.kind == "live"])
    return [_room(row, lives.get(row.num)) for row in listed], following


def _room(row: Any, live: Live | None) -> RoomRow:
    return RoomRow(
        id=row.id,
        kind=row.kind,
        title=row.title,
        visibility=row.visibility,
        settings=_settings(row.settings),
        members=row.members,
        pos=row.pos,
        at=row.last_at,
        closed=row.closed,
        role=Role(row.role or 0).wire,
        live=live,
    )


# Invites and waiting messages


def room_invites(connection: Connection, room: str, now: Millis) -> list[Invite]:
    query = (
        select(invites)
        .join(rooms)
        .where(
            rooms.c.id == room,
            or_(invites.c.uses.is_(None), invites.c.uses > 0),
            or_(invites.c.until.is_(None), invites.c.until > now),
        )
        .order_by(invites.c.code)
    )
    return [Invite(row.code, room, row.by, row.uses, row.until) for row in connection.execute(query)]


_PENDING: Select[Any] = select(pending, rooms.c.id.label("room_id")).join(rooms)


def _pending(row: Any) -> Pending:
    return Pending(
        id=row.id,
        room=row.room_id,
        kind=row.kind,
        actor=_actor(row.actor),
        at=row.at,
        text=row.text,
        reply_to=row.reply_to,
        release_at=row.release_at,
        rule=row.rule,
    )


def pending_by_id(connection: Connection, room: str, pending_id: str) -> Pending | None:
    row = connection.execute(_PENDING.where(pending.c.id == pending_id, rooms.c.id == room)).one_or_none()
    return _pending(row) if row is not None else None


def room_pending(connection: Connection, room: str, author: str | None) -> list[Pending]:
    query = _PENDING.where(rooms.c.id == room).order_by(pending.c.at, pending.c.id)
    if author is not None:
        query = query.where(pending.c.author == author)
    return [_pending(row) for row in connection.execute(query)]


def due(connection: Connection, now: Millis, limit: int) -> list[Pending]:
    query = _PENDING.where(pending.c.release_at <= now, pending.c.kind == "delayed")
    query = query.order_by(pending.c.release_at, pending.c.at, pending.c.id).limit(limit)
    return [_pending(row) for row in connection.execute(query)]


# Read marks


_UNREAD = (
    select(func.count(mentions.c.pos.distinct()))
    .where(
        mentions.c.room == room_users.c.room,
        or_(mentions.c.user == room_users.c.user, mentions.c.user == EVERYBODY),
        mentions.c.pos > room_users.c.read_pos,
    )
    .scalar_subquery()
)
_FIRST_KEPT = (
    select(messages.c.n - 1)
    .where(messages.c.room == room_users.c.room)
    .order_by(messages.c.pos)
    .limit(1)
    .scalar_subquery()
)
_READ_N = case(
    (room_users.c.read_pos < rooms.c.first_pos - 1, func.coalesce(_FIRST_KEPT, rooms.c.n)), else_=room_users.c.read_n
)
"""What has been pruned can be read no more: it counts as read."""
_READ_STATES = (
    select(
        rooms.c.id,
        rooms.c.n,
        room_users.c.user,
        room_users.c.read_pos,
        _READ_N.label("read_n"),
        _UNREAD.label("unread"),
    )
    .select_from(room_users)
    .join(rooms, rooms.c.num == room_users.c.room)
    .where(room_users.c.user.in_(bindparam("of_users", expanding=True)), room_users.c.role >= Role.MEMBER)
)
"""Made once: everybody who connects asks, and making a statement takes longer than running it."""


def read_states(connection: Connection, users: Collection[str], room: str | None) -> list[ReadState]:
    query = _READ_STATES if room is None else _READ_STATES.where(rooms.c.id == room)
    found = sorted(connection.execute(query, {"of_users": list(users)}), key=lambda row: (row.user, row.id))
    return [
        ReadState(room=row.id, user=row.user, pos=row.read_pos, n=row.read_n, mentions=row.unread, total=row.n)
        for row in found
    ]


def memberships(connection: Connection, user: str) -> list[str]:
    query = (
        select(rooms.c.id)
        .select_from(room_users)
        .join(rooms, rooms.c.num == room_users.c.room)
        .where(room_users.c.user == user, room_users.c.role >= Role.MEMBER)
        .order_by(rooms.c.id)
    )
    return list(connection.execute(query).scalars())


def records(connection: Connection, limit: int) -> list[tuple[int, Record]]:
    """Whole rows, as they are taken as such, until there are `limit` records. No row is empty."""
    waiting: list[tuple[int, Record]] = []
    query = select(outbox.c.seq, outbox.c.records).order_by(outbox.c.seq).limit(limit)
    with connection.execute(query) as found:
        for seq, encoded in found:
            waiting += [(seq, record) for record in _records(encoded)]
            if len(waiting) >= limit:
                break
    return waiting
