"""The one rule by which anybody sees anything of a room's log."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from rooms import events as e
from rooms.actors import By, Role, Viewer

NOBODY = By("", "", "moderator")
"""Stands for who muted somebody, before viewers who are not told."""


def visible(event: e.Logged, viewer: Viewer) -> e.Logged | None:
    """The event as this viewer may see it, or None where it is not for them and a `room.skip` takes its place.

    Who muted somebody and why, and why a message was removed or a member sent away, is for moderators and the one
    concerned. Of messages below the viewer's first position no text is shown, though later events edit or quote them.
    """
    if event.pos < viewer.from_pos:
        return None
    if viewer.role >= Role.MODERATOR:
        return event
    match event:
        case e.MessageCreated() | e.MessageEdited() if event.message is not None:  # first, as most are
            if isinstance(event, e.MessageEdited) and event.target < viewer.from_pos:
                return None
            quoted = event.message.reply_to
            if quoted is not None and quoted.pos < viewer.from_pos:
                return replace(event, message=replace(event.message, reply_to=e.Quote(quoted.pos)))
            return event
        case e.MemberMuted() if event.user != viewer.user:
            return replace(event, by=NOBODY, reason=None)
        case e.MemberKicked() | e.MemberBanned() if event.user != viewer.user and event.reason is not None:
            return replace(event, reason=None)
        case e.MessageDeleted() if event.reason is not None:
            return replace(event, reason=None)
        case e.MessageEdited() if event.target < viewer.from_pos:
            return None
        case _:
            return event


def shown(events: Iterable[e.Logged], viewer: Viewer) -> Iterator[e.Logged | e.Skip]:
    """The events of one room, in order, as this viewer gets them: hidden ones become skips, neighbours joined."""
    hidden: list[int] = []
    for event in events:
        seen = visible(event, viewer)
        if seen is None:
            hidden.append(event.pos)
            room = event.room
            continue
        if hidden:
            yield e.Skip(event.room, hidden[0], hidden[-1])
            hidden.clear()
        yield seen
    if hidden:
        yield e.Skip(room, hidden[0], hidden[-1])


def differs(event: e.Logged) -> bool:
    """Whether moderators, the one concerned and all others see this event in different forms."""
    match event:
        case e.MemberMuted():
            return True
        case e.MemberKicked() | e.MemberBanned() | e.MessageDeleted():
            return event.reason is not None
        case _:
            return False


def reach(event: e.Logged) -> int | None:
    """The lowest earlier position of which the event shows a text, if it does."""
    match event:
        case e.MessageEdited():
            return event.target
        case e.MessageCreated() if event.message is not None and event.message.reply_to is not None:
            return event.message.reply_to.pos
        case _:
            return None
