"""What a command must know of its room before it can be decided."""

from msgspec import Struct

from rooms import commands as c
from rooms.effects import Invite, Pending, Recording
from rooms.ids import Millis
from rooms.live import Flowing, Internal, Lapse, Left, Publish, Stream
from rooms.mentions import Named, candidates
from rooms.room import Room


class Needs(Struct, frozen=True):
    """What is to be looked up. `purge` asks for the positions of a user's undeleted messages since a time."""

    people: frozenset[str] = frozenset()
    messages: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    invite: str | None = None
    pending: str | None = None
    purge: tuple[str, Millis] | None = None
    stream: bool = False
    recording: str | None = None


NOTHING = Needs()
"""The same object for all commands that need nothing, as most do."""


class Facts(Struct, frozen=True, gc=False):
    """What the look-up found, apart from people and messages, which the room itself then knows."""

    named: Named = Named()
    invite: Invite | None = None
    pending: Pending | None = None
    purge: tuple[int, ...] = ()
    stream: Stream = Stream()
    recording: Recording | None = None


class Release(Struct, frozen=True):
    """Lets a delayed message go: the server's own command, once its time has come."""

    pending: Pending


Own = Release | Internal
"""What the server itself does to a room."""

MAX_PURGE = 500
"""Most messages that one ban takes away, newest first."""


def needs(room: Room, user: str, command: c.Decided | Own, now: Millis, facts: Facts | None = None) -> Needs:
    """What the store must be asked before `decide`; people and messages only where the room does not know them.

    `facts` is what a first look-up found: an approval needs its message's author, once the message is known. So an
    edit needs the message that the edited one answers: ask again where the first look-up found the edited one.
    """
    if isinstance(command, c.MessageSend) and _plain(command) and room.knows_person(user):
        return NOTHING
    people = {user}
    messages: set[int] = set()
    names: frozenset[str] = frozenset()
    invite = pending = recording = None
    purge = None
    stream = False
    match command:
        case c.MessageSend():
            if command.reply_to is not None:
                messages.add(command.reply_to)
            names = candidates(command.text)
        case c.MessageEdit():
            messages.add(command.target)
            edited = room.messages.get(command.target)
            if edited is not None and edited.reply_to is not None:
                messages.add(edited.reply_to)
            names = candidates(command.text)
        case c.MessageDelete() | c.MessageReact() | c.MessageUnreact() | c.MessagePin() | c.MessageUnpin():
            messages.add(command.target)
        case c.ReportCreate():
            if command.target is not None:
                messages.add(command.target)
        case c.MemberRole() | c.MemberMute() | c.MemberUnmute() | c.MemberKick() | c.MemberUnban():
            people.add(command.user)
        case c.MemberBan():
            people.add(command.user)
            if command.purge_seconds:
                purge = (command.user, now - command.purge_seconds * 1_000)
        case c.InviteAccept():
            invite = command.code
        case c.MessageApprove() | c.MessageDeny():
            pending = command.pending
            if facts is not None and facts.pending is not None:
                names = _of_pending(facts.pending, people, messages)
        case Release():
            names = _of_pending(command.pending, people, messages)
        case c.LiveStart() | c.LiveStop() | c.LiveTakedown() | Publish() | Flowing() | Left() | Lapse():
            stream = True
        case c.RecordingUpdate() | c.RecordingDelete():
            recording = command.recording
        case _:
            pass
    return Needs(
        people=frozenset(u for u in people if not room.knows_person(u)),
        messages=frozenset(pos for pos in messages if not room.knows_message(pos)),
        names=names,
        invite=invite,
        pending=pending,
        purge=purge,
        stream=stream,
        recording=recording,
    )


def _plain(command: c.MessageSend) -> bool:
    """Most of what is ever said answers nobody and mentions nobody."""
    return command.reply_to is None and "@" not in command.text


def _of_pending(pending: Pending, people: set[str], messages: set[int]) -> frozenset[str]:
    people.add(pending.actor.user)
    if pending.reply_to is not None:
        messages.add(pending.reply_to)
    return candidates(pending.text)
