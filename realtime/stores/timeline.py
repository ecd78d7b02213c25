"""Messages as people read them: pages of a room's timeline, and what a search finds."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from sqlalchemy import Connection, Select, case, func, select

from realtime.ports import Listed, Original, Page, Reaction, Span
from realtime.stores import rows
from realtime.stores.reads import room_number
from realtime.stores.schema import messages, originals, pins, reactions, users
from rooms.events import Quote
from rooms.ids import MAX_SAFE_INTEGER, Millis
from rooms.text import preview

Hits = Callable[[Connection, int, str, int, int, int], list[int]]
"""Asks the full-text index for positions, newest first: room's number, query, first position, the one below which to
look, most that are wanted.
"""

_quoted = messages.alias()
_quoted_author = users.alias()
_LISTED: Select[Any] = (
    select(
        messages,
        users.c.name,
        users.c.avatar,
        _quoted.c.text.label("quoted_text"),
        _quoted.c.author.label("quoted_author"),
        _quoted.c.role.label("quoted_role"),
        _quoted_author.c.name.label("quoted_name"),
        _quoted_author.c.avatar.label("quoted_avatar"),
        pins.c.until.label("pinned_until"),
    )
    .select_from(messages)
    .outerjoin(users, users.c.id == messages.c.author)
    .outerjoin(_quoted, (_quoted.c.room == messages.c.room) & (_quoted.c.pos == messages.c.reply_to))
    .outerjoin(_quoted_author, _quoted_author.c.id == _quoted.c.author)
    .outerjoin(pins, (pins.c.room == messages.c.room) & (pins.c.target == messages.c.pos))
)


def page(connection: Connection, room: str, viewer: str, span: Span, *, with_originals: bool, now: Millis) -> Page:
    num = room_number(connection, room)
    if num is None:
        return Page((), more=False)
    query = _LISTED.where(messages.c.room == num, messages.c.pos >= span.from_pos)
    older = query.order_by(messages.c.pos.desc())
    newer = query.order_by(messages.c.pos)
    if span.after is not None:
        found, more = _cut(connection, newer.where(messages.c.pos > span.after), span.limit)
    elif span.around is not None:
        half = (span.limit + 1) // 2
        before, earlier = _cut(connection, older.where(messages.c.pos <= span.around), half)
        after, later = _cut(connection, newer.where(messages.c.pos > span.around), span.limit - half)
        found, more = before[::-1] + after, earlier or later
    else:
        end = span.before if span.before is not None else MAX_SAFE_INTEGER
        found, more = _cut(connection, older.where(messages.c.pos < end), span.limit)
        found.reverse()
    listed = _listed(connection, num, viewer, found, span.from_pos, with_originals=with_originals, now=now)
    return Page(listed, more)


def _cut(connection: Connection, query: Select[Any], limit: int) -> tuple[list[Any], bool]:
    found = list(connection.execute(query.limit(limit + 1)))
    return found[:limit], len(found) > limit


def reaction_counts(connection: Connection, room: str, target: int) -> dict[str, int]:
    num = room_number(connection, room)
    found = _reactions(connection, num, "", [target]) if num is not None else {}
    return {reaction.emoji: reaction.count for reaction in found.get(target, ())}


def search(
    connection: Connection,
    room: str,
    viewer: str,
    query: str,
    *,
    hits: Hits,
    before: int | None,
    limit: int,
    from_pos: int,
    now: Millis,
) -> Page:
    num = room_number(connection, room)
    if num is None:
        return Page((), more=False)
    positions = hits(connection, num, query, from_pos, before if before is not None else MAX_SAFE_INTEGER, limit + 1)
    found = list(
        connection.execute(
            _LISTED.where(
                messages.c.room == num, messages.c.pos.in_(positions[:limit]), messages.c.text.is_not(None)
            ).order_by(messages.c.pos.desc())
        )
    )
    listed = _listed(connection, num, viewer, found, from_pos, with_originals=False, now=now)
    return Page(listed, len(positions) > limit)


def _listed(
    connection: Connection, num: int, viewer: str, found: list[Any], from_pos: int, *, with_originals: bool, now: Millis
) -> tuple[Listed, ...]:
    if not found:
        return ()
    positions = [row.pos for row in found if row.text is not None]
    reacted = _reactions(connection, num, viewer, positions)
    were = _originals(connection, num, positions) if with_originals else {}
    return tuple(_message(row, reacted.get(row.pos, ()), were.get(row.pos), from_pos, now) for row in found)


def _message(
    row: Any, reacted: tuple[Reaction, ...], were: tuple[Original, ...] | None, from_pos: int, now: Millis
) -> Listed:
    writer = rows.by(row.author, row.name, row.role, row.avatar)
    if row.text is None:
        return Listed(pos=row.pos, n=row.n, at=row.at, by=writer, deleted=True)
    return Listed(
        pos=row.pos,
        n=row.n,
        at=row.at,
        by=writer,
        text=row.text,
        mentions=rows.ids(row.mentions),
        reply_to=_quote(row, from_pos) if row.reply_to is not None else UNSET,
        edited_at=row.edited_at if row.edited_at is not None else UNSET,
        pinned=row.pinned_until is not None and row.pinned_until > now,
        reactions=reacted,
        originals=were if were is not None else UNSET,
    )


def _quote(row: Any, from_pos: int) -> Quote:
    """The bare position of what lies before `from_pos`, as `rooms.visibility` has it."""
    if row.reply_to < from_pos:
        return Quote(row.reply_to)
    if row.quoted_text is None:
        return Quote(row.reply_to, deleted=True)
    writer = rows.by(row.quoted_author, row.quoted_name, row.quoted_role, row.quoted_avatar)
    return Quote(row.reply_to, writer, preview(row.quoted_text))


def _reactions(connection: Connection, num: int, viewer: str, positions: list[int]) -> dict[int, tuple[Reaction, ...]]:
    query = (
        select(
            reactions.c.target,
            reactions.c.emoji,
            func.count().label("count"),
            func.max(case((reactions.c.user == viewer, 1), else_=0)).label("mine"),
        )
        .where(reactions.c.room == num, reactions.c.target.in_(positions))
        .group_by(reactions.c.target, reactions.c.emoji)
        .order_by(reactions.c.target, func.min(reactions.c.rank))
    )
    found: dict[int, tuple[Reaction, ...]] = {}
    for target, emoji, count, mine in connection.execute(query):
        found[target] = (*found.get(target, ()), Reaction(emoji, count, bool(mine)))
    return found


def _originals(connection: Connection, num: int, positions: list[int]) -> dict[int, tuple[Original, ...]]:
    query = (
        select(originals.c.target, originals.c.text, originals.c.at)
        .where(originals.c.room == num, originals.c.target.in_(positions))
        .order_by(originals.c.target, originals.c.edit)
    )
    found: dict[int, tuple[Original, ...]] = {}
    for target, before, at in connection.execute(query):
        found[target] = (*found.get(target, ()), Original(before, at))
    return found
