"""`decide(room, actor, command, moment)`: what a command changes, or why it may not.

Pure: the room is only read. One file a family of commands; this one sends each command to its family.
"""

from typing import assert_never

from rooms import commands as c
from rooms.actors import Actor
from rooms.decide import admin, chat, live, membership, recordings
from rooms.decide.decision import Decision, Limits, Moment, Outcome
from rooms.decide.needs import MAX_PURGE, NOTHING, Facts, Needs, Own, Release, needs
from rooms.drafts import Draft
from rooms.live import Flowing, Lapse, Left, Publish
from rooms.permissions import authorize
from rooms.room import Room

__all__ = [
    "MAX_PURGE",
    "NOTHING",
    "Decision",
    "Facts",
    "Limits",
    "Moment",
    "Needs",
    "Outcome",
    "Own",
    "Release",
    "decide",
    "judged",
    "needs",
]


def decide(room: Room, actor: Actor, command: c.Decided | Own, moment: Moment) -> Outcome:
    """Decides one command on a room that knows what `needs` named.

    Returns a Draft where the content policy is to be asked first: judge it and decide again with the verdict. Raises
    Rejected with the reply that the command gets.
    """
    match command:
        case c.MessageSend():  # first, as most are
            return chat.send(room, actor, authorize(room, actor, command, moment.now), command, moment)
        case Release():
            return chat.release(room, command, moment)
        case Publish() | Flowing() | Left() | Lapse():
            return live.own(room, actor, command, moment)
        case c.RoomCreate():
            return admin.create(room, actor, command, moment)
        case c.InviteAccept():
            return membership.accept(room, actor, command, moment)
        case _:
            role = authorize(room, actor, command, moment.now)
    match command:
        case c.MessageEdit():
            return chat.edit(room, actor, role, command, moment)
        case c.MessageDelete():
            return chat.delete(room, actor, role, command, moment)
        case c.MessageReact() | c.MessageUnreact():
            return chat.react(room, actor, command, moment)
        case c.MessagePin() | c.MessageUnpin():
            return chat.pin(room, actor, command, moment)
        case c.MessageApprove():
            return chat.approve(room, actor, command, moment)
        case c.MessageDeny():
            return chat.deny(room, actor, command, moment)
        case c.MemberJoin():
            return membership.join(room, actor, role, command, moment)
        case c.MemberLeave():
            return membership.leave(room, actor, command, moment)
        case c.InviteCreate():
            return membership.invite(room, actor, role, command, moment)
        case c.InviteRevoke():
            return membership.revoke(room, command)
        case c.RoomUpdate():
            return admin.update(room, actor, role, command, moment)
        case c.RoomClose():
            return admin.close(room, actor, moment)
        case c.MemberRole():
            return admin.set_role(room, actor, command, moment)
        case c.MemberMute():
            return admin.mute(room, actor, role, command, moment)
        case c.MemberUnmute():
            return admin.unmute(room, actor, role, command, moment)
        case c.MemberKick():
            return admin.kick(room, actor, role, command, moment)
        case c.MemberBan():
            return admin.ban(room, actor, role, command, moment)
        case c.MemberUnban():
            return admin.unban(room, actor, command, moment)
        case c.ReportCreate():
            return admin.report(room, actor, command, moment)
        case c.LiveStart():
            return live.start(room, actor, role, command, moment)
        case c.LiveStop():
            return live.stop(room, actor, moment)
        case c.LiveTakedown():
            return live.take_down(room, actor, moment)
        case c.RecordingUpdate():
            return recordings.update(room, actor, role, command, moment)
        case c.RecordingDelete():
            return recordings.delete(actor, role, moment)
        case _:
            assert_never(command)


def judged(room: Room, actor: Actor, command: c.Decided | Own, draft: Draft, moment: Moment) -> Decision:
    """Goes on with a command of which `decide` has made this draft on the room as it still is, at the same moment but
    for the verdict: what was checked then is not checked again. Raises Rejected.
    """
    match command:
        case c.MessageSend():
            return chat.sent(room, actor, draft.role, command, moment)
        case c.MessageEdit():
            return chat.edited(room, actor, command, moment)
        case _:
            outcome = decide(room, actor, command, moment)
            if isinstance(outcome, Draft):
                raise TypeError(f"{type(command).__name__} asks to be judged twice")
            return outcome
