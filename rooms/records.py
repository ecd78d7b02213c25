"""Interaction records: what the incentive engine learns of a room, one record for each thing that counts.

Records are facts, not rewards: who did what to whose message, when. They carry no text.
"""

from collections.abc import Iterator
from typing import Any, Literal

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


def of_event(event: e.Logged, author: str | None) -> Iterator[Record]:
    """The records of one logged event. `author` wrote the message that the event targets, where it does."""

    def record(kind: RecordKind, n: int = 0, **more: Any) -> Record:
        return Record(
            id=f"{event.room}/{event.pos}/{n}",
            kind=kind,
            room=event.room,
            pos=event.pos,
            at=event.at,
            user=event.by.id,
            **more,
        )

    match event:
        case e.RoomCreated():
            yield record("room")
        case e.MessageCreated():
            yield record("message")
            if event.message is not None:
                if event.message.reply_to is not None:
                    quoted = event.message.reply_to
                    yield record("reply", 1, to=quoted.by.id if quoted.by else None, target=quoted.pos)
                for n, user in enumerate(event.message.mentions, 2):
                    yield record("mention", n, to=user)
        case e.MessageEdited():
            yield record("edit", target=event.target)
        case e.MessageDeleted():
            yield record("delete", to=author, target=event.target)
        case e.MessageReacted():
            yield record("react", to=author, target=event.target, what=event.emoji)
        case e.MessageUnreacted():
            yield record("unreact", to=author, target=event.target, what=event.emoji)
        case e.MessagePinned():
            yield record("pin", to=author, target=event.target)
        case e.MemberJoined():
            yield record("join")
        case e.MemberLeft():
            yield record("leave")
        case e.MemberMuted():
            yield record("sanction", to=event.user, what="mute")
        case e.MemberKicked():
            yield record("sanction", to=event.user, what="kick")
        case e.MemberBanned():
            yield record("sanction", to=event.user, what="ban")
        case _:
            return


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
