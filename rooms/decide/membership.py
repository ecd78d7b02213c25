"""Decides who belongs: joining, leaving, invites."""

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, Role
from rooms.decide.decision import Decision, Moment
from rooms.effects import AddInvite, Effect, Invite, KeepOwner, RevokeInvite, UseInvite
from rooms.errors import Rejected, not_found
from rooms.permissions import until
from rooms.room import Room


def join(room: Room, actor: Actor, role: Role, command: c.MemberJoin, moment: Moment) -> Decision:
    if _is_member(room, actor):
        return Decision(reply={"duplicate": True})
    if room.settings.invite_only and role < Role.MEMBER:
        raise Rejected("forbidden", "This room is open to the invited only.", field="invite_only")
    return _joined(room, actor, role, moment)


def accept(room: Room, actor: Actor, command: c.InviteAccept, moment: Moment) -> Decision:
    """An invite opens a private room to who holds it, but not to who is banned from it."""
    invite = moment.facts.invite
    if invite is None or (invite.until is not None and invite.until <= moment.now) or invite.uses == 0:
        raise not_found("invite")
    if room.banned(actor.user, moment.now):
        if room.visibility == "private" and not actor.admin:
            raise not_found("invite")
        person = room.people[actor.user]
        end = person.banned_until if person else 0
        raise until("banned", "You are banned from this room.", end, moment.now)
    if room.closed:
        raise Rejected("forbidden", "This room is closed.", field="closed")
    if _is_member(room, actor):
        return Decision(reply={"room": room.id, "duplicate": True})
    return _joined(
        room, actor, room.role(actor), moment, effects=(UseInvite(invite.code, moment.now),), reply={"room": room.id}
    )


def _is_member(room: Room, actor: Actor) -> bool:
    person = room.people.get(actor.user)
    return person is not None and person.member


def _joined(
    room: Room,
    actor: Actor,
    role: Role,
    moment: Moment,
    effects: tuple[Effect, ...] = (),
    reply: dict[str, str] | None = None,
) -> Decision:
    if room.settings.locked and role < Role.MODERATOR:
        raise Rejected("locked", "This room is locked by its moderators.")
    event = e.MemberJoined(
        room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor), user=actor.user, name=actor.name
    )
    return Decision(events=(event,), effects=effects, reply=reply or {})


def leave(room: Room, actor: Actor, command: c.MemberLeave, moment: Moment) -> Decision:
    person = room.people.get(actor.user)
    if person is None or not person.member:
        raise Rejected("not_member", "You are not a member of this room.")
    effects = keep_owner(room, actor.user)
    event = e.MemberLeft(
        room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor), user=actor.user, name=actor.name
    )
    return Decision(events=(event,), effects=effects)


def keep_owner(room: Room, user: str, field: str | None = None) -> tuple[Effect, ...]:
    """What must hold for `user` to stop being an owner: somebody else is one. Nothing for who is none.

    Raises Rejected(`forbidden`) where nobody else owns the room.
    """
    if room.staff.get(user) is not Role.OWNER:
        return ()
    if not any(role is Role.OWNER for owner, role in room.staff.items() if owner != user):
        raise Rejected("forbidden", "A room keeps at least one owner: give the room to somebody first.", field=field)
    return (KeepOwner(user),)


def invite(room: Room, actor: Actor, role: Role, command: c.InviteCreate, moment: Moment) -> Decision:
    public_group = room.kind == "group" and room.visibility == "public"
    if role < Role.MODERATOR and not public_group:
        raise Rejected("forbidden", "Only moderators may invite to this room.")
    end = moment.now + command.seconds * 1_000 if command.seconds else None
    created = Invite(moment.fresh, room.id, actor.user, command.uses, end)
    return Decision(effects=(AddInvite(created),), reply={"code": created.code}, pos=False)


def revoke(room: Room, command: c.InviteRevoke) -> Decision:
    return Decision(effects=(RevokeInvite(command.code),), pos=False)
