"""Decides how a room is run: its making, settings, roles, sanctions, reports."""

from typing import Any

from rooms import commands as c
from rooms import events as e
from rooms.actors import BY_WIRE, Actor, By, Role
from rooms.decide import chat
from rooms.decide.decision import Decision, Moment, Outcome
from rooms.decide.membership import keep_owner
from rooms.drafts import Draft, Verdict
from rooms.effects import AddReport, Report
from rooms.errors import Rejected
from rooms.permissions import OWNERS_SETTINGS, check_below
from rooms.room import Room
from rooms.settings import SettingsPatch, defaults
from rooms.text import check_text


def create(room: Room, actor: Actor, command: c.RoomCreate, moment: Moment) -> Outcome:
    """Decided on a room that does not exist yet: one at position 0."""
    if command.room is not None and not actor.admin:
        raise Rejected("forbidden", "Only platform admins may choose a room's id.", field="room")
    if room.pos:
        raise Rejected("exists", "There is a room of this id.", field="room")
    check_text(command.title, "title", lines=False)
    _check_policy(actor, command.settings)
    if moment.verdict is None:
        return Draft("title", room.id, actor.user, Role.OWNER, command.title, "default")
    title = title_judged(moment.verdict, command.title)
    settings = command.settings.on(defaults(command.kind))
    info = e.RoomInfo(room.id, command.kind, title, command.visibility, settings)
    by = By(actor.user, actor.name, Role.OWNER.wire, actor.avatar)
    event = e.RoomCreated(room=room.id, pos=1, at=moment.now, by=by, room_info=info)
    return Decision(events=(event,), reply={"room": info}, pos=False)


def update(room: Room, actor: Actor, role: Role, command: c.RoomUpdate, moment: Moment) -> Outcome:
    patch = command.settings.changes(room.settings)
    if role < Role.OWNER:
        forbidden = sorted(OWNERS_SETTINGS & set(patch.named())) + (["title"] if command.title is not None else [])
        if forbidden:
            raise Rejected("forbidden", "Only owners may change this.", field=forbidden[0])
    _check_policy(actor, patch)
    title = command.title if command.title != room.title else None
    if title is not None:
        check_text(title, "title", lines=False)
        if moment.verdict is None:
            return Draft("title", room.id, actor.user, role, title, room.settings.policy)
        title = title_judged(moment.verdict, title)
    if title is None and not patch.named():
        return Decision(reply={"duplicate": True})
    changes = e.RoomChanges(title=title, settings=patch if patch.named() else None)
    return _one(e.RoomUpdated(room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor), changes=changes))


def _check_policy(actor: Actor, patch: SettingsPatch) -> None:
    if patch.policy == "none" and not actor.admin:
        raise Rejected("forbidden", "Only platform admins may turn the content policy off.", field="policy")


def title_judged(verdict: Verdict, title: str) -> str:
    """A title cannot wait for a moderator: what would be held is given back."""
    match verdict.action:
        case "block":
            raise Rejected("blocked", verdict.reason, field="title")
        case "bounce" | "hold":
            raise Rejected("bounced", verdict.reason, field="title")
        case "mask":
            return verdict.text
        case "allow":
            return title


def close(room: Room, actor: Actor, moment: Moment) -> Decision:
    return _one(e.RoomClosed(room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor)))


def set_role(room: Room, actor: Actor, command: c.MemberRole, moment: Moment) -> Decision:
    person = room.people.get(command.user)
    if person is None or not person.member:
        raise Rejected("not_member", "Only members can be given a role.", field="user")
    role = BY_WIRE[command.role]
    if person.role is role:
        return Decision(reply={"duplicate": True})
    effects = keep_owner(room, command.user, field="role")
    event = e.MemberRoleChanged(**_about(room, actor, command.user, moment), role=command.role)
    return Decision(events=(event,), effects=effects)


def mute(room: Room, actor: Actor, role: Role, command: c.MemberMute, moment: Moment) -> Decision:
    check_below(room, role, command.user)
    _check_reason(command.reason)
    end = moment.now + command.seconds * 1_000 if command.seconds else None
    return _one(e.MemberMuted(**_about(room, actor, command.user, moment), until=end, reason=command.reason))


def unmute(room: Room, actor: Actor, role: Role, command: c.MemberUnmute, moment: Moment) -> Decision:
    check_below(room, role, command.user)
    if command.user == actor.user and not actor.admin:
        # Whose role the token grants does not rank below it as a member.
        raise Rejected("forbidden", "Nobody can unmute themselves.", field="user")
    if not room.muted(command.user, moment.now):
        return Decision(reply={"duplicate": True})
    return _one(e.MemberUnmuted(**_about(room, actor, command.user, moment)))


def kick(room: Room, actor: Actor, role: Role, command: c.MemberKick, moment: Moment) -> Decision:
    check_below(room, role, command.user)
    _check_reason(command.reason)
    person = room.people.get(command.user)
    if person is None:
        raise Rejected("not_found", "There is nobody of this id in the room.", field="user")
    effects = keep_owner(room, command.user, field="user")
    event = e.MemberKicked(**_about(room, actor, command.user, moment), reason=command.reason, was_member=person.member)
    return Decision(events=(event,), effects=effects)


def ban(room: Room, actor: Actor, role: Role, command: c.MemberBan, moment: Moment) -> Decision:
    """A ban may take the user's latest messages along. Whoever is banned is no member any more."""
    check_below(room, role, command.user)
    if command.user == actor.user:
        raise Rejected("forbidden", "Nobody can ban themselves.", field="user")
    _check_reason(command.reason)
    end = moment.now + command.seconds * 1_000 if command.seconds else None
    effects = keep_owner(room, command.user, field="user")
    person = room.people.get(command.user)
    banned = e.MemberBanned(
        **_about(room, actor, command.user, moment),
        until=end,
        reason=command.reason,
        was_member=person is not None and person.member,
    )
    seconds = command.purge_seconds
    gone = chat.purge(room, room.by(actor), command.user, seconds, room.pos + 2, moment) if seconds else []
    return Decision(events=(banned, *gone), effects=effects)


def unban(room: Room, actor: Actor, command: c.MemberUnban, moment: Moment) -> Decision:
    if not room.banned(command.user, moment.now):
        return Decision(reply={"duplicate": True})
    return _one(e.MemberUnbanned(**_about(room, actor, command.user, moment)))


def report(room: Room, actor: Actor, command: c.ReportCreate, moment: Moment) -> Decision:
    """Of a message, whose author it then concerns; of a user; or of the room."""
    check_text(command.reason, "reason", lines=False)
    if command.text:
        check_text(command.text, "text")
    user = command.user
    if command.target is not None:
        user = chat.message_at(room, command.target, room.viewer(actor)).by.id
    created = Report(
        id=moment.fresh,
        room=room.id,
        by=actor.user,
        at=moment.now,
        reason=command.reason,
        target=command.target,
        user=user,
        text=command.text,
    )
    return Decision(effects=(AddReport(created),), reply={"report": created.id}, pos=False)


def _check_reason(reason: str | None) -> None:
    if reason:
        check_text(reason, "reason")


def _about(room: Room, actor: Actor, user: str, moment: Moment) -> dict[str, Any]:
    person = room.people.get(user)
    return {
        "room": room.id,
        "pos": room.pos + 1,
        "at": moment.now,
        "by": room.by(actor),
        "user": user,
        "name": person.name if person else user,
    }


def _one(event: e.Logged) -> Decision:
    return Decision(events=(event,))
