"""Live streams: what follows of them from the log, and what stands beside it. Functions of a connection, and works."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, insert, or_, select, update

from realtime.stores.head import Head
from realtime.stores.schema import lives, recordings, rooms, streams
from rooms import effects as x
from rooms import events as e
from rooms.actors import BY_WIRE, Role
from rooms.effects import Recording
from rooms.live import HIDING, Live, Stream

if TYPE_CHECKING:
    from realtime.stores.transaction import Transaction

ON = ("admitted", "flowing", "interrupted")

_OPEN = select(lives).where(lives.c.room.in_(bindparam("nums", expanding=True)), lives.c.last_pos.is_(None))
RECORDED = (
    select(recordings, rooms.c.id.label("room_id"), lives.c.first_pos, lives.c.last_pos)
    .join(rooms, rooms.c.num == recordings.c.room)
    .outerjoin(lives, (lives.c.room == recordings.c.room) & (lives.c.session == recordings.c.session))
)


# From the log


def follow_live(tx: "Transaction", head: Head, event: e.LiveEvent) -> None:
    """The room's `lives`, as `rooms.room.follow_live` has them."""
    match event:
        case e.LiveStarted():
            values = {
                "session": event.session,
                "title": event.title,
                "category": event.category,
                "mature": event.mature,
                "since": event.at,
                "first_pos": event.pos,
                "taken_down": False,
            }
            tx.core.execute(insert(lives).values(room=head.num, **values))
            return
        case e.LiveUpdated():
            changes: dict[str, Any] = {"title": event.title, "category": event.category, "mature": event.mature}
        case e.LiveInterrupted():
            changes = {"interrupted": event.at}
        case e.LiveResumed():
            changes = {"interrupted": None}
        case e.LiveStopped():
            changes = {"last_pos": event.pos}
        case _:
            raise ValueError(f"{type(event).__name__} is none of a live")
    tx.core.execute(update(lives).where(lives.c.room == head.num, lives.c.last_pos.is_(None)).values(changes))


def follow_rights(tx: "Transaction", head: Head, event: e.Logged) -> None:
    """Whoever loses the right to a stream publishes no more: it is `ending`, and due at once."""
    user = None
    match event:
        case e.MemberBanned():
            user, reason = event.user, "banned"
        case e.MemberLeft():
            user, reason = event.user, "stopped"
        case e.MemberKicked():
            user, reason = event.user, "removed"
        case e.MemberRoleChanged() if BY_WIRE.get(event.role, Role.MEMBER) < Role.OWNER:
            user, reason = event.user, "removed"
        case e.RoomClosed():
            reason = "closed"
        case _:
            return
    end(tx, head.num, user, reason)


def end(tx: "Transaction", num: int, user: str | None, reason: str) -> bool:
    """Returns whether there was a stream of the user's (None: of anybody's) to end. One that is ending already ends for
    this reason, where what was shown of it is to be hidden for this and not for the other.
    """
    on: ColumnElement[bool] = streams.c.state.in_(ON)
    if reason in HIDING:
        on = or_(on, (streams.c.state == "ending") & streams.c.reason.not_in(HIDING))
    theirs = update(streams).where(streams.c.room == num, on)
    if user is not None:
        theirs = theirs.where(streams.c.user == user)
    ended = theirs.values(state="ending", reason=reason, until=0, version=streams.c.version + 1)
    return tx.core.execute(ended).rowcount > 0


# Beside the log


def save(tx: "Transaction", head: Head, stream: Stream) -> bool:
    values = msgspec.structs.asdict(stream) | {"version": stream.version + 1}
    if stream.version == 0:
        found = tx.core.execute(select(streams.c.version).where(streams.c.room == head.num)).first()
        if found is None:
            tx.core.execute(insert(streams).values(room=head.num, **values))
        return found is None
    mine = (streams.c.room == head.num) & (streams.c.version == stream.version)
    return tx.core.execute(update(streams).where(mine).values(values)).rowcount > 0


def change_recording(tx: "Transaction", head: Head, effect: x.ChangeRecording) -> bool:
    these = ("listed", "unlisted", "hidden") if effect.state == "deleted" else ("listed", "unlisted")
    values = {name: value for name, value in (("title", effect.title), ("state", effect.state)) if value is not None}
    one = (recordings.c.room == head.num) & (recordings.c.id == effect.id) & recordings.c.state.in_(these)
    return tx.core.execute(update(recordings).where(one).values(values)).rowcount > 0


def hide_recordings(tx: "Transaction", head: Head, session: str) -> None:
    live = (lives.c.room == head.num) & (lives.c.session == session)
    tx.core.execute(update(lives).where(live).values(taken_down=True))
    kept = (recordings.c.session == session) & (recordings.c.state != "deleted")
    tx.core.execute(update(recordings).where(recordings.c.room == head.num, kept).values(state="hidden"))


def open_lives(connection: Connection, nums: Collection[int]) -> dict[int, Live]:
    """The lives that are on, by the room's number."""
    if not nums:
        return {}
    return {row.room: live_of(row) for row in connection.execute(_OPEN, {"nums": list(nums)})}


def live_of(row: Any) -> Live:
    return Live(**{name: getattr(row, name) for name in Live.__struct_fields__})


def stream(connection: Connection, num: int) -> Stream:
    row = connection.execute(select(streams).where(streams.c.room == num)).one_or_none()
    return stream_of(row) if row is not None else Stream()


def stream_of(row: Any) -> Stream:
    return Stream(**{name: getattr(row, name) for name in Stream.__struct_fields__})


def recording(connection: Connection, room: str, recording_id: str) -> Recording | None:
    row = connection.execute(RECORDED.where(rooms.c.id == room, recordings.c.id == recording_id)).one_or_none()
    return recording_of(row) if row is not None else None


def recording_of(row: Any) -> Recording:
    """The room is that of the row's `room_id`; what the log has of a live may have been pruned."""
    own = {name: getattr(row, name) for name in Recording.__struct_fields__ if name != "room"}
    return Recording(room=row.room_id, **(own | {"first_pos": row.first_pos or 1}))
