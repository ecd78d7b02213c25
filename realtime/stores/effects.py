"""What commands change beside the log, and the conditions under which they may (`rooms.effects`)."""

from typing import TYPE_CHECKING, assert_never

import msgspec
from sqlalchemy import Delete, Insert, Update, and_, delete, func, insert, literal, or_, select, update

from realtime.stores import projections, streams
from realtime.stores.head import Head
from realtime.stores.schema import invites, pending, reactions, repeats, reports, room_users, upsert
from rooms import effects as x
from rooms.actors import Role
from rooms.records import of_report

if TYPE_CHECKING:
    from realtime.stores.transaction import Transaction


def take(tx: "Transaction", head: Head, effect: x.Effect) -> bool:
    """Does what the effect says. Returns False, having perhaps done a part, where its condition does not hold."""
    match effect:
        case x.AddInvite(invite):
            values = {"code": invite.code, "by": invite.by, "uses": invite.uses, "until": invite.until}
            return _changed(tx, insert(invites).values(room=head.num, **values))
        case x.RevokeInvite(code):
            return _changed(tx, delete(invites).where(invites.c.code == code, invites.c.room == head.num))
        case x.UseInvite(code, now):
            return _changed(
                tx,
                update(invites)
                .where(
                    invites.c.code == code,
                    invites.c.room == head.num,
                    or_(invites.c.uses.is_(None), invites.c.uses > 0),
                    or_(invites.c.until.is_(None), invites.c.until > now),
                )
                .values(uses=invites.c.uses - 1),
            )
        case x.AddPending():
            return _add_pending(tx, head, effect)
        case x.TakePending(id=pending_id):
            return _changed(
                tx, delete(pending).where(pending.c.id == pending_id, pending.c.room == head.num), erases=True
            )
        case x.AddReport(report):
            _add_report(tx, head, report)
            return True
        case x.React():
            return _react(tx, head, effect)
        case x.SpaceMessages():
            return _space(tx, head, effect)
        case x.NoRepeat():
            return _no_repeat(tx, head, effect)
        case x.KeepOwner(user):
            others = select(room_users.c.user).where(
                room_users.c.room == head.num, room_users.c.role == Role.OWNER, room_users.c.user != user
            )
            return tx.core.execute(others.limit(1)).first() is not None
        case x.SaveStream(stream):
            return streams.save(tx, head, stream)
        case x.ChangeRecording():
            return streams.change_recording(tx, head, effect)
        case x.HideRecordings(session):
            streams.hide_recordings(tx, head, session)
            return True
        case _:
            assert_never(effect)


def _changed(tx: "Transaction", statement: Insert | Update | Delete, *, erases: bool = False) -> bool:
    tx.erased = tx.erased or erases
    return tx.core.execute(statement).rowcount > 0


def _add_pending(tx: "Transaction", head: Head, effect: x.AddPending) -> bool:
    waiting = select(func.count()).select_from(pending).where(pending.c.room == head.num)
    if tx.core.execute(waiting).scalar_one() >= effect.most:
        return False
    p = effect.pending
    tx.core.execute(
        insert(pending).values(
            id=p.id,
            room=head.num,
            kind=p.kind,
            author=p.actor.user,
            actor=msgspec.json.encode(p.actor).decode(),
            at=p.at,
            text=p.text,
            reply_to=p.reply_to,
            release_at=p.release_at,
            rule=p.rule,
        )
    )
    return True


def _add_report(tx: "Transaction", head: Head, report: x.Report) -> None:
    values = msgspec.structs.asdict(report) | {"room": head.num}
    tx.core.execute(insert(reports).values(values))
    tx.records.append(of_report(report))


def _react(tx: "Transaction", head: Head, effect: x.React) -> bool:
    if effect.on:
        others = select(func.count(reactions.c.emoji.distinct())).where(
            reactions.c.room == head.num, reactions.c.target == effect.target, reactions.c.emoji != effect.emoji
        )
        if tx.core.execute(others).scalar_one() >= effect.kinds:
            return False
    return projections.react(tx, head, effect.target, effect.user, effect.emoji, on=effect.on)


def _space(tx: "Transaction", head: Head, effect: x.SpaceMessages) -> bool:
    blank = {c.name: 0 for c in room_users.c} | {"room": head.num, "user": effect.user, "last_at": effect.at}
    statement = upsert(room_users).values(blank)
    return _changed(
        tx,
        statement.on_conflict_do_update(
            index_elements=["room", "user"],
            set_={"last_at": statement.excluded.last_at},
            where=or_(literal(effect.gap_ms) == 0, room_users.c.last_at + effect.gap_ms <= statement.excluded.last_at),
        ),
    )


def _no_repeat(tx: "Transaction", head: Head, effect: x.NoRepeat) -> bool:
    """What is too old to be repeated goes first: what stays of a user's texts stays no longer than it is needed."""
    mine = and_(repeats.c.room == head.num, repeats.c.user == effect.user)
    tx.core.execute(delete(repeats).where(mine, repeats.c.at <= effect.at - effect.within_ms))
    values = {"room": head.num, "user": effect.user, "digest": effect.digest, "at": effect.at}
    return _changed(tx, upsert(repeats).values(values).on_conflict_do_nothing())
