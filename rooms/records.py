"""Interaction records: what the incentive engine learns of a room, one record for each thing that counts.

Records are facts, not rewards: who did what to whose message, when. They carry no text.
"""

from typing import Literal

from msgspec import Struct

from rooms import events as e
from rooms.effects import Report
from rooms.ids import Millis

RecordKind = Literal[
    "room", "message", "reply", "mention", "edit", "delete", "react", "unreact", "pin", "join", "leave", "sanction",
    "report",
]  # fmt: skip


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interaction. `id` is unique and the same however often the record is delivered.

    `user` acted; `to` is whom it concerns (a message's author, a mentioned or sanctioned user); `target` the position
    of the message concerned; `what` says more where the kind alone does not (an emoji, the kind of sanction).
    """

    id: str
    kind: RecordKind
    room: str
    pos: int | None = None
    at: Millis
    user: str
    to: str | None = None
    target: int | None = None
    what: str | None = None


def of_event(event: e.Logged, author: str | None) -> list[Record]:
    """The records of one logged event. `author` wrote the message that the event targets, where it does."""
    match event:
        case e.RoomCreated():
            return [_record(event, "room")]
        case e.MessageCreated():
            return _of_message(event)
        case e.MessageEdited():
            return [_record(event, "edit", target=event.target)]
        case e.MessageDeleted():
            return [_record(event, "delete", to=author, target=event.target)]
        case e.MessageReacted():
            return [_record(event, "react", to=author, target=event.target, what=event.emoji)]
        case e.MessageUnreacted():
            return [_record(event, "unreact", to=author, target=event.target, what=event.emoji)]
        case e.MessagePinned():
            return [_record(event, "pin", to=author, target=event.target)]
        case e.MemberJoined():
            return [_record(event, "join")]
        case e.MemberLeft():
            return [_record(event, "leave")]
        case e.MemberMuted():
            return [_record(event, "sanction", to=event.user, what="mute")]
        case e.MemberKicked():
            return [_record(event, "sanction", to=event.user, what="kick")]
        case e.MemberBanned():
            return [_record(event, "sanction", to=event.user, what="ban")]
        case _:
            return []


def _of_message(event: e.MessageCreated) -> list[Record]:
    records = [_record(event, "message")]
    body = event.message
    if body is not None:
        if body.reply_to is not None:
            quoted = body.reply_to
            records.append(_record(event, "reply", 1, to=quoted.by.id if quoted.by else None, target=quoted.pos))
        for n, user in enumerate(body.mentions, 2):
            records.append(_record(event, "mention", n, to=user))
    return records


def _record(
    event: e.Logged,
    kind: RecordKind,
    n: int = 0,
    to: str | None = None,
    target: int | None = None,
    what: str | None = None,
) -> Record:
    room, pos = event.room, event.pos
    return Record(
        id=f"{room}/{pos}/{n}",
        kind=kind,
        room=room,
        pos=pos,
        at=event.at,
        user=event.by.id,
        to=to,
        target=target,
        what=what,
    )


def of_report(report: Report) -> Record:
    return Record(
        id=f"{report.room}/report/{report.id}",
        kind="report",
        room=report.room,
        at=report.at,
        user=report.by,
        to=report.user,
        target=report.target,
        what=report.reason,
    )
