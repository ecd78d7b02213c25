"""What each event but a created message changes beside the log. Together with the message's path in `transaction`
this mirrors `rooms.room.Room.apply`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, assert_never

import msgspec
from sqlalchemy import delete, func, insert, select, update

from realtime.stores import rows, streams
from realtime.stores.epochs import new_epoch
from realtime.stores.head import Head
from realtime.stores.schema import mentions, messages, originals, pins, reactions, room_users, rooms, upsert
from rooms import events as e
from rooms.actors import BY_WIRE, Role
from rooms.ids import Millis
from rooms.room import FOREVER
from rooms.settings import Settings

if TYPE_CHECKING:
    from realtime.stores.transaction import Transaction


def apply(tx: "Transaction", room: str, head: Head | None, event: e.Logged) -> tuple[Head, str | None]:
    """Changes the projections. Returns the room's head, and who wrote the message that the event targets."""
    if isinstance(event, e.RoomCreated):
        return _created(tx, room, event), None
    if head is None:
        raise ValueError(f"room {room} has no first event")
    author = None
    streams.follow_rights(tx, head, event)
    match event:
        case e.RoomUpdated():
            _updated(tx, head, event)
        case e.RoomClosed():
            tx.core.execute(update(rooms).where(rooms.c.num == head.num).values(closed=True))
        case e.MemberJoined():
            _rank(tx, head, event, Role.MEMBER)
        case e.MemberLeft() | e.MemberKicked():
            _rank(tx, head, event, Role.NONE)
        case e.MemberRoleChanged():
            _rank(tx, head, event, BY_WIRE.get(event.role, Role.MEMBER))
        case e.MemberMuted():
            _sanction(tx, head, event, muted_until=event.until or FOREVER)
        case e.MemberUnmuted():
            _sanction(tx, head, event, muted_until=0)
        case e.MemberBanned():
            _rank(tx, head, event, Role.NONE)
            _sanction(tx, head, event, banned_until=event.until or FOREVER)
        case e.MemberUnbanned():
            _sanction(tx, head, event, banned_until=0)
        case e.MessageEdited():
            author = _edited(tx, head, event)
        case e.MessageDeleted():
            author = _deleted(tx, head, event)
        case e.MessageReacted() | e.MessageUnreacted():
            author = _author(tx, head, event.target)
            react(tx, head, event.target, event.by.id, event.emoji, on=isinstance(event, e.MessageReacted))
        case e.MessagePinned():
            author = _author(tx, head, event.target)
            if author is not None:  # else it has been pruned since this was decided
                _pin(tx, head, event)
        case e.MessageUnpinned():
            _unpin(tx, head, event.target)
        case e.LiveStarted() | e.LiveUpdated() | e.LiveInterrupted() | e.LiveResumed() | e.LiveStopped():
            streams.follow_live(tx, head, event)
        case e.MessageCreated():
            raise ValueError("created messages take the writer's own path")
        case _:
            assert_never(event)
    return head, author


# The room


def _created(tx: "Transaction", room: str, event: e.RoomCreated) -> Head:
    info = event.room_info
    values = {
        "id": room,
        "kind": info.kind,
        "title": info.title,
        "visibility": info.visibility,
        "settings": msgspec.json.encode(info.settings).decode(),
        "closed": False,
        "since": event.at,
        "epoch": new_epoch(),
        "first_pos": 1,
        "pos": event.pos,
        "rules_pos": 0,
        "n": 0,
        "members": 1,
        "last_at": event.at,
    }
    num = tx.core.execute(insert(rooms).values(values).returning(rooms.c.num)).scalar_one()
    head = Head(num, event.pos, 0, 0, event.at)
    tx.created(room, head)
    _save_person(tx, head, event.by.id, role=Role.OWNER, joined_pos=event.pos, read_pos=event.pos, read_n=0)
    return head


def _updated(tx: "Transaction", head: Head, event: e.RoomUpdated) -> None:
    values: dict[str, Any] = {}
    if event.changes.title is not None:
        values["title"] = event.changes.title
    if event.changes.settings is not None:
        stored = tx.core.execute(select(rooms.c.settings).where(rooms.c.num == head.num)).scalar_one()
        settings = event.changes.settings.on(msgspec.json.decode(stored, type=Settings))
        values["settings"] = msgspec.json.encode(settings).decode()
    if values:
        tx.core.execute(update(rooms).where(rooms.c.num == head.num).values(values))


# People


def _save_person(tx: "Transaction", head: Head, user: str, **changes: int) -> None:
    """Changes some columns of a person's row, which is made where there is none."""
    blank = {c.name: 0 for c in room_users.c} | {"room": head.num, "user": user}
    statement = upsert(room_users).values(blank | changes)
    tx.core.execute(
        statement.on_conflict_do_update(
            index_elements=["room", "user"], set_={name: statement.excluded[name] for name in changes}
        )
    )


def _rank(tx: "Transaction", head: Head, event: e.UserEvent, role: Role) -> None:
    """Who becomes a member has nothing unread."""
    query = select(room_users.c.role, room_users.c.joined_pos).where(
        room_users.c.room == head.num, room_users.c.user == event.user
    )
    row = tx.core.execute(query).one_or_none()
    was_member = row is not None and row.role >= Role.MEMBER
    member = role >= Role.MEMBER
    if member != was_member:
        members = rooms.c.members + (1 if member else -1)
        tx.core.execute(update(rooms).where(rooms.c.num == head.num).values(members=members))
    if member and not was_member:
        _save_person(tx, head, event.user, role=role, joined_pos=event.pos, read_pos=event.pos, read_n=head.n)
    else:
        joined_pos = row.joined_pos if row is not None and member else 0
        _save_person(tx, head, event.user, role=role, joined_pos=joined_pos)


def _sanction(tx: "Transaction", head: Head, event: e.UserEvent, **until: Millis) -> None:
    _save_person(tx, head, event.user, **until)


# Messages


def _message(tx: "Transaction", head: Head, target: int) -> Any:
    query = select(messages).where(messages.c.room == head.num, messages.c.pos == target)
    return tx.core.execute(query).one_or_none()


def _author(tx: "Transaction", head: Head, target: int) -> str | None:
    query = select(messages.c.author).where(messages.c.room == head.num, messages.c.pos == target)
    return tx.core.execute(query).scalar_one_or_none()


def _edited(tx: "Transaction", head: Head, event: e.MessageEdited) -> str | None:
    tx.index()
    old = _message(tx, head, event.target)
    body = event.message
    if old is None or old.text is None or body is None:
        return old.author if old is not None else None
    key = {"room": head.num, "target": event.target}
    tx.core.execute(
        insert(originals).values(key | {"edit": event.pos, "at": old.edited_at or old.at, "text": old.text})
    )
    tx.core.execute(
        update(messages)
        .where(messages.c.room == head.num, messages.c.pos == event.target)
        .values(text=body.text, mentions=rows.ids_json(body.mentions), edited_at=event.at)
    )
    before, now = set(rows.ids(old.mentions)), set(body.mentions) - {old.author}
    _unmention(tx, head, event.target, before - now)
    if now - before:
        tx.sql.add_mentions([(head.num, user, event.target) for user in now - before])
    _reword(tx, head, event.target, old.text, body.text)
    return str(old.author)


def _deleted(tx: "Transaction", head: Head, event: e.MessageDeleted) -> str | None:
    tx.index()
    _unpin(tx, head, event.target)
    old = _message(tx, head, event.target)
    if old is None or old.text is None:
        return old.author if old is not None else None
    tx.core.execute(
        update(messages)
        .where(messages.c.room == head.num, messages.c.pos == event.target)
        .values(text=None, mentions=None, reply_to=None, edited_at=None)
    )
    for table in (originals, reactions):
        tx.core.execute(delete(table).where(table.c.room == head.num, table.c.target == event.target))
    _unmention(tx, head, event.target, rows.ids(old.mentions))
    _reword(tx, head, event.target, old.text, None)
    return str(old.author)


def _unmention(tx: "Transaction", head: Head, target: int, users: Iterable[str]) -> None:
    for user in users:
        tx.core.execute(
            delete(mentions).where(mentions.c.room == head.num, mentions.c.user == user, mentions.c.pos == target)
        )


def _reword(tx: "Transaction", head: Head, target: int, old: str, new: str | None) -> None:
    """Takes the old text's words out of the index, for good."""
    tx.sql.reword(head.num, target, old, new)
    tx.erased = True


def react(tx: "Transaction", head: Head, target: int, user: str, emoji: str, *, on: bool) -> bool:
    """Adds or takes away one reaction. False where there is no such message, or it is deleted."""
    mine = (reactions.c.room == head.num) & (reactions.c.target == target)
    if not on:
        tx.core.execute(delete(reactions).where(mine, reactions.c.emoji == emoji, reactions.c.user == user))
        return True
    same = select(reactions.c.rank).where(mine, reactions.c.emoji == emoji).limit(1)
    rank = tx.core.execute(same).scalar_one_or_none()
    if rank is None:
        rank = tx.core.execute(select(func.coalesce(func.max(reactions.c.rank), 0) + 1).where(mine)).scalar_one()
    old = _message(tx, head, target)
    if old is None or old.text is None:
        return False
    values = {"room": head.num, "target": target, "emoji": emoji, "user": user, "rank": rank}
    tx.core.execute(upsert(reactions).values(values).on_conflict_do_nothing())
    return True


def _pin(tx: "Transaction", head: Head, event: e.MessagePinned) -> None:
    statement = upsert(pins).values(room=head.num, target=event.target, until=event.until or FOREVER)
    tx.core.execute(
        statement.on_conflict_do_update(index_elements=["room", "target"], set_={"until": statement.excluded.until})
    )


def _unpin(tx: "Transaction", head: Head, target: int) -> None:
    tx.core.execute(delete(pins).where(pins.c.room == head.num, pins.c.target == target))
