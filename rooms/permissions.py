"""Who may what: one table, read from top to bottom, and the checks that read it."""

from enum import Enum

from rooms import commands as c
from rooms.actors import Actor, Role
from rooms.errors import Rejected, not_found
from rooms.ids import Millis
from rooms.room import FOREVER, Room


class Who(Enum):
    ANYBODY = "any token, in a room it may know of"
    WRITER = "those whom the room's setting `write` admits, unless muted, banned or locked out"
    MEMBER = "members"
    MODERATOR = "moderators and above"
    OWNER = "owners and platform admins"
    ADMIN = "platform admins"


TABLE: dict[type[c.Command], Who] = {
    c.RoomJoin: Who.ANYBODY,
    c.RoomLeave: Who.ANYBODY,
    c.RoomEvents: Who.ANYBODY,
    c.MessageList: Who.ANYBODY,
    c.MessageSearch: Who.ANYBODY,
    c.PendingList: Who.ANYBODY,  # moderators see all, others their own
    c.PresenceGet: Who.ANYBODY,
    c.TicketCreate: Who.ANYBODY,
    c.ReadMark: Who.ANYBODY,
    c.ReportCreate: Who.ANYBODY,
    c.MemberJoin: Who.ANYBODY,  # where not invite_only
    c.InviteAccept: Who.ANYBODY,
    c.MessageSend: Who.WRITER,
    c.MessageEdit: Who.WRITER,  # the author's own
    c.MessageDelete: Who.WRITER,  # the author's own; moderators any
    c.MessageReact: Who.WRITER,
    c.MessageUnreact: Who.WRITER,
    c.Typing: Who.WRITER,
    c.MemberList: Who.MEMBER,
    c.MemberLeave: Who.MEMBER,
    c.InviteCreate: Who.MEMBER,  # in public groups; elsewhere moderators
    c.InviteList: Who.MODERATOR,
    c.InviteRevoke: Who.MODERATOR,
    c.MessagePin: Who.MODERATOR,
    c.MessageUnpin: Who.MODERATOR,
    c.MessageApprove: Who.MODERATOR,
    c.MessageDeny: Who.MODERATOR,
    c.MemberMute: Who.MODERATOR,  # those below their own rank, as with all four
    c.MemberUnmute: Who.MODERATOR,
    c.MemberKick: Who.MODERATOR,
    c.MemberBan: Who.MODERATOR,
    c.MemberUnban: Who.MODERATOR,
    c.RoomUpdate: Who.MODERATOR,  # but for the title and OWNERS_SETTINGS
    c.MemberRole: Who.OWNER,
    c.RoomClose: Who.OWNER,
    c.LiveStart: Who.OWNER,
    c.LiveStop: Who.OWNER,
    c.LiveGet: Who.OWNER,
    c.LiveKey: Who.OWNER,
    c.LiveTakedown: Who.ADMIN,
    c.RecordingList: Who.ANYBODY,
    c.RecordingUpdate: Who.ANYBODY,  # who recorded it, and owners
    c.RecordingDelete: Who.ANYBODY,  # the same
}

OWNERS_SETTINGS = frozenset({"write", "policy", "entitlement"})
"""Settings that moderators may not change; `policy` may be `none` only by a platform admin's choice."""

OPEN_WHEN_CLOSED = (
    c.MessageDelete, c.MessageDeny, c.ReportCreate, c.MemberLeave, c.LiveStop, c.LiveTakedown, c.RecordingUpdate,
    c.RecordingDelete,
)  # fmt: skip
"""What still works in a closed room: reading, taking a text or a recording away, denying or reporting a text, leaving,
and ending a live.
"""


def authorize(room: Room, actor: Actor, command: c.Command, now: Millis) -> Role:
    """The actor's role, if the table lets this actor give this command here.

    Raises Rejected: `not_found` where the actor may not know of the room, else the code that says what is missing.
    """
    if not room.admits(actor, now):
        raise not_found()
    if not actor.user and not (room.kind == "live" and isinstance(command, c.RoomJoin | c.RoomLeave)):
        raise Rejected("unauthorized", "Say who you are first.")
    if room.banned(actor.user, now) and not actor.admin:
        raise until("banned", "You are banned from this room.", room.people[actor.user].banned_until, now)  # type: ignore[union-attr]  # banned() has found the person
    role = room.role(actor)
    if (
        room.closed
        and isinstance(command, c.Change | c.Typing | c.LiveKey)
        and not isinstance(command, OPEN_WHEN_CLOSED)
    ):
        raise Rejected("forbidden", "This room is closed.", field="closed")
    match TABLE[type(command)]:
        case Who.ANYBODY:
            pass
        case Who.WRITER:
            check_writer(room, actor, role, now)
        case Who.MEMBER if role < Role.MEMBER:
            raise Rejected("not_member", "Only members of this room may do that.")
        case Who.MODERATOR if role < Role.MODERATOR:
            raise Rejected("forbidden", "Only moderators may do that.")
        case Who.OWNER if role < Role.OWNER:
            raise Rejected("forbidden", "Only owners may do that.")
        case Who.ADMIN if role < Role.ADMIN:
            raise Rejected("forbidden", "Only platform admins may do that.")
        case _:
            pass
    return role


def until(code: str, message: str, end: Millis, now: Millis) -> Rejected:
    """The refusal of a sanction, with the wait where it has an end."""
    return Rejected(code, message, retry_after_ms=None if end >= FOREVER else end - now)  # type: ignore[arg-type]  # muted or banned


def check_writer(room: Room, actor: Actor, role: Role, now: Millis) -> None:
    """Raises Rejected unless the actor may write here now. Moderators and above are stopped by a mute alone."""
    if room.muted(actor.user, now) and role < Role.ADMIN:
        raise until("muted", "You are muted in this room.", room.people[actor.user].muted_until, now)  # type: ignore[union-attr]  # muted() has found the person
    if role >= Role.MODERATOR:
        return
    settings = room.settings
    if settings.locked:
        raise Rejected("locked", "This room is locked by its moderators.")
    match settings.write:
        case "members" if role < Role.MEMBER:
            raise Rejected("forbidden", "Only members may write here.", field="write")
        case "moderators":
            raise Rejected("forbidden", "Only moderators may write here.", field="write")
        case "entitled" if settings.entitlement not in actor.entitlements:
            raise Rejected("entitlement_required", "Writing here needs an entitlement.", field="entitlement")
        case _:
            pass
    if settings.min_account_hours and actor.created is not None:
        wait = actor.created + settings.min_account_hours * 3_600_000 - now
        if wait > 0:
            raise Rejected(
                "forbidden", "Your account is too new to write here.", field="min_account_hours", retry_after_ms=wait
            )


def check_below(room: Room, role: Role, target: str) -> None:
    """Raises Rejected(`forbidden`) unless the target ranks below `role`."""
    person = room.people.get(target)
    if (person.role if person else Role.NONE) >= role:
        raise Rejected("forbidden", "That is only possible for those below your own rank.", field="user")
