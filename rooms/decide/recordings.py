"""Decides what becomes of recordings. Nothing of it is in the log."""

from typing import Literal

from rooms import commands as c
from rooms.actors import Actor, Role
from rooms.decide.admin import title_judged
from rooms.decide.decision import Decision, Moment, Outcome
from rooms.drafts import Draft
from rooms.effects import ChangeRecording, Recording
from rooms.errors import Rejected, not_found
from rooms.room import Room
from rooms.text import check_text


def update(room: Room, actor: Actor, role: Role, command: c.RecordingUpdate, moment: Moment) -> Outcome:
    recording = _theirs(actor, role, moment)
    if recording.state == "hidden":
        raise Rejected("forbidden", "This recording was taken down by the platform.", field="recording")
    title = command.title if command.title != recording.title else None
    if title is not None:
        check_text(title, "title", lines=False)
        if moment.verdict is None:
            return Draft("title", room.id, actor.user, role, title, room.settings.policy)
        title = title_judged(moment.verdict, title)
    state: Literal["listed", "unlisted"] | None = None
    if command.listed is not None:
        state = "listed" if command.listed else "unlisted"
    if title is None and state in (None, recording.state):
        return Decision(reply={"duplicate": True}, pos=False)
    return Decision(effects=(ChangeRecording(recording.id, title, state),), pos=False)


def delete(actor: Actor, role: Role, moment: Moment) -> Decision:
    recording = _theirs(actor, role, moment)
    return Decision(effects=(ChangeRecording(recording.id, state="deleted"),), pos=False)


def _theirs(actor: Actor, role: Role, moment: Moment) -> Recording:
    """Raises Rejected for a recording that is not there, or is neither the actor's nor of a room of theirs."""
    recording = moment.facts.recording
    if recording is None or recording.state == "deleted":
        raise not_found("recording")
    if role < Role.OWNER and recording.user != actor.user:
        if recording.state != "listed":
            raise not_found("recording")
        raise Rejected("forbidden", "Only who recorded this, and owners, may do that.", field="recording")
    return recording
