"""Decides what is said: messages, edits, deletions, reactions, pins, and messages that wait."""

import hashlib
from typing import Any, Literal

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, By, Role, Viewer
from rooms.decide.decision import Decision, Moment, Outcome
from rooms.decide.needs import MAX_PURGE, Release
from rooms.drafts import Draft, Verdict
from rooms.effects import AddPending, Effect, NoRepeat, Pending, React, SpaceMessages, TakePending
from rooms.errors import Rejected, not_found
from rooms.mentions import EVERYBODY, mentioned
from rooms.permissions import check_writer
from rooms.room import FOREVER, Message, Room
from rooms.text import check_emoji, check_text, is_emoji_only, preview

UNIQUE_MS = 30_000
"""Within what time a user may not repeat a text, where the room's setting `unique` is on."""


def send(room: Room, actor: Actor, role: Role, command: c.MessageSend, moment: Moment) -> Outcome:
    check_message(room, role, command.text)
    _check_pace(room, actor, role, command.text, moment.now)
    if command.reply_to is not None:
        message_at(room, command.reply_to, room.viewer(actor), field="reply_to")
    if moment.verdict is None:
        return Draft("message", room.id, actor.user, role, command.text, room.settings.policy)
    return sent(room, actor, role, command, moment)


def sent(room: Room, actor: Actor, role: Role, command: c.MessageSend, moment: Moment) -> Decision:
    """What a message does that may be sent, with the moment's verdict. Raises Rejected where that refuses it."""
    verdict = moment.verdict
    if verdict is None:
        raise ValueError("a message is judged before it is sent")
    text = _judged(verdict, command.text)
    pace = _spaced(room, actor, role, moment.now)
    if text != command.text:
        _check_repeat(room, actor, role, text, moment.now)
    once = _once(room, actor, role, text, moment.now)
    held = verdict.action == "hold"
    if held or (room.settings.delay_seconds and role < Role.MODERATOR):
        release_at = None if held else moment.now + room.settings.delay_seconds * 1_000
        pending = Pending(
            id=moment.fresh,
            room=room.id,
            kind="held" if held else "delayed",
            actor=actor,
            at=moment.now,
            text=text,
            reply_to=command.reply_to,
            release_at=release_at,
            rule=verdict.rule,
        )
        return Decision(
            effects=(
                *(pace or (SpaceMessages(actor.user, moment.now, 0),)),
                *once,
                AddPending(pending, moment.limits.pending),
            ),
            reply={pending.kind: True, "pending": pending.id},
            pos=False,
        )
    return Decision(
        events=(_created(room, actor, text, command.reply_to, moment),),
        effects=(*pace, *once),
        timed=True,
    )


def check_message(room: Room, role: Role, text: str) -> None:
    """Raises Rejected unless the text may stand in this room, whoever judges its content later."""
    if len(text) > room.settings.max_text:
        raise Rejected("too_long", f"At most {room.settings.max_text} characters fit here.", field="text")
    check_text(text, "text")
    if room.settings.emoji_only and role < Role.MODERATOR and not is_emoji_only(text):
        raise Rejected("forbidden", "Only emoji may be sent here.", field="emoji_only")


def _check_pace(room: Room, actor: Actor, role: Role, text: str, now: int) -> None:
    """Slow mode and repeats."""
    if role >= Role.MODERATOR:
        return
    person = room.people.get(actor.user)
    gap = room.settings.slow_seconds * 1_000
    if gap and person and person.last_at + gap > now:
        raise Rejected("slow_mode", "Slow mode is on.", retry_after_ms=person.last_at + gap - now)
    _check_repeat(room, actor, role, text, now)


def _spaced(room: Room, actor: Actor, role: Role, now: int) -> tuple[Effect, ...]:
    """What of slow mode must still hold when the message is written."""
    gap = room.settings.slow_seconds * 1_000
    return (SpaceMessages(actor.user, now, gap),) if gap and role < Role.MODERATOR else ()


def _check_repeat(room: Room, actor: Actor, role: Role, text: str, now: int) -> None:
    """Raises Rejected(`duplicate_text`) for a text that the user has published just so within UNIQUE_MS, as far as the
    room's messages are at hand: this costs nothing. `_once` has the store see to the rest.
    """
    if not room.settings.unique or role >= Role.MODERATOR:
        return
    for message in reversed(room.messages.values()):
        if message is None or message.by.id != actor.user:
            continue
        if message.at + UNIQUE_MS > now and message.text == text:
            wait = message.at + UNIQUE_MS - now
            raise Rejected("duplicate_text", "You have just said that.", field="text", retry_after_ms=wait)


def _once(room: Room, actor: Actor, role: Role, text: str, now: int) -> tuple[Effect, ...]:
    if not room.settings.unique or role >= Role.MODERATOR:
        return ()
    digest = hashlib.blake2b(text.encode(), digest_size=16, key=room.id.encode()).digest()
    return (NoRepeat(actor.user, digest, now, UNIQUE_MS),)


def _judged(verdict: Verdict, text: str) -> str:
    """The text to publish. Raises Rejected where the policy refuses it."""
    match verdict.action:
        case "block":
            raise Rejected("blocked", verdict.reason, field="text")
        case "bounce":
            raise Rejected("bounced", verdict.reason, field="text")
        case "mask":
            return verdict.text
        case "allow" | "hold":
            return text


def _created(room: Room, actor: Actor, text: str, reply_to: int | None, moment: Moment) -> e.MessageCreated:
    by = room.by(actor)
    body = e.Body(
        text=text, n=room.n + 1, reply_to=quote(room, reply_to), mentions=_mentions(room, actor, text, moment)
    )
    return e.MessageCreated(room=room.id, pos=room.pos + 1, at=moment.now, by=by, message=body)


def quote(room: Room, reply_to: int | None) -> e.Quote | None:
    if reply_to is None:
        return None
    message = room.messages.get(reply_to)
    if message is None:
        return e.Quote(reply_to)
    if message.text is None:
        return e.Quote(reply_to, deleted=True)
    return e.Quote(reply_to, message.by, preview(message.text))


def _mentions(room: Room, actor: Actor, text: str, moment: Moment) -> tuple[str, ...]:
    """Everybody at once is for owners and moderators, and not above `presence_names` people."""
    if "@" not in text:
        return ()
    users = mentioned(text, moment.facts.named)
    everybody = room.role(actor) >= Role.MODERATOR and room.members <= moment.limits.presence_names
    return users if everybody else tuple(user for user in users if user != EVERYBODY)


def message_at(room: Room, pos: int, viewer: Viewer, field: str = "target") -> Message:
    """The message at `pos`. Raises Rejected(`not_found`) where there is none, or none that this viewer may read or
    has written.
    """
    message = room.messages.get(pos)
    if message is None or message.text is None or (pos < viewer.from_pos and message.by.id != viewer.user):
        raise Rejected("not_found", "There is no such message.", field=field)
    return message


def edit(room: Room, actor: Actor, role: Role, command: c.MessageEdit, moment: Moment) -> Outcome:
    message = message_at(room, command.target, room.viewer(actor))
    if message.by.id != actor.user:
        raise Rejected("forbidden", "Only its author may edit a message.", field="target")
    limit = moment.limits.edit_ms
    if limit and message.at + limit < moment.now:
        raise Rejected("forbidden", "This message is too old to be edited.", field="edit_seconds")
    if room.settings.delay_seconds and role < Role.MODERATOR:
        # Or a text would be seen at once that moderators were to see first.
        raise Rejected("forbidden", "While messages are delayed, none can be edited.", field="delay_seconds")
    check_message(room, role, command.text)
    if moment.verdict is None:
        return Draft("edit", room.id, actor.user, role, command.text, room.settings.policy)
    return edited(room, actor, command, moment)


def edited(room: Room, actor: Actor, command: c.MessageEdit, moment: Moment) -> Decision:
    """What an edit does that may be made, with the moment's verdict. Raises Rejected where that refuses it."""
    message, verdict = room.messages.get(command.target), moment.verdict
    if message is None or verdict is None:
        raise ValueError("an edit is of a message that is known, and judged before it is made")
    if verdict.action == "hold":
        raise Rejected("bounced", verdict.reason, field="text")
    text = _judged(verdict, command.text)
    body = e.Body(
        text=text, n=message.n, reply_to=quote(room, message.reply_to), mentions=_mentions(room, actor, text, moment)
    )
    return _one(e.MessageEdited(**_head(room, actor, moment), target=command.target, message=body))


def delete(room: Room, actor: Actor, role: Role, command: c.MessageDelete, moment: Moment) -> Decision:
    message = message_at(room, command.target, room.viewer(actor))
    if message.by.id != actor.user and role < Role.MODERATOR:
        raise Rejected("forbidden", "Only its author or a moderator may delete a message.", field="target")
    if room.closed and role < Role.MODERATOR:
        raise Rejected("forbidden", "This room is closed.", field="closed")
    if command.reason:
        check_text(command.reason, "reason")
    return _one(e.MessageDeleted(**_head(room, actor, moment), target=command.target, reason=command.reason))


def react(room: Room, actor: Actor, command: c.MessageReact | c.MessageUnreact, moment: Moment) -> Decision:
    """In live rooms reactions stand beside the log: they come by the thousand and are shown as counts."""
    check_emoji(command.emoji)
    message = message_at(room, command.target, room.viewer(actor))
    on = isinstance(command, c.MessageReact)
    if room.kind == "live":
        kinds = moment.limits.reaction_kinds
        return Decision(effects=(React(command.target, actor.user, command.emoji, on, kinds),), pos=False)
    reactions = dict(message.reactions)
    if (actor.user in reactions.get(command.emoji, ())) == on:
        return Decision(reply={"duplicate": True})
    if on and command.emoji not in reactions and len(reactions) >= moment.limits.reaction_kinds:
        raise Rejected("too_many", "This message bears as many kinds of reaction as it can.", field="emoji")
    kind = e.MessageReacted if on else e.MessageUnreacted
    return _one(kind(**_head(room, actor, moment), target=command.target, emoji=command.emoji))


def pin(room: Room, actor: Actor, command: c.MessagePin | c.MessageUnpin, moment: Moment) -> Decision:
    message_at(room, command.target, room.viewer(actor))
    pinned = room.pins.get(command.target, 0) > moment.now
    if isinstance(command, c.MessageUnpin):
        if not pinned:
            return Decision(reply={"duplicate": True})
        return _one(e.MessageUnpinned(**_head(room, actor, moment), target=command.target))
    end = moment.now + command.seconds * 1_000 if command.seconds else None
    if pinned and room.pins[command.target] == (end or FOREVER):
        return Decision(reply={"duplicate": True})
    if not pinned and sum(until > moment.now for until in room.pins.values()) >= moment.limits.pins:
        raise Rejected("too_many", f"At most {moment.limits.pins} messages can be pinned.", field="target")
    return _one(e.MessagePinned(**_head(room, actor, moment), target=command.target, until=end))


def approve(room: Room, actor: Actor, command: c.MessageApprove, moment: Moment) -> Decision:
    """Publishes a waiting message in its author's name, unless the author has lost the right to it meanwhile."""
    pending = moment.facts.pending
    if pending is None:
        raise not_found("pending message")
    try:
        return _publish(room, pending, moment, "approved")
    except Rejected as refusal:
        raise Rejected("forbidden", f"Its author may not write here now: {refusal.message}", field="pending") from None


def deny(room: Room, actor: Actor, command: c.MessageDeny, moment: Moment) -> Decision:
    pending = moment.facts.pending
    if pending is None:
        raise not_found("pending message")
    return Decision(effects=(TakePending(pending.id, pending.actor.user, "denied"),), pos=False)


def release(room: Room, command: Release, moment: Moment) -> Decision:
    """Decides a waiting message again, as of now. Its author's sanctions and the room's rules may have changed."""
    return _publish(room, command.pending, moment, "released")


def _publish(room: Room, pending: Pending, moment: Moment, outcome: Literal["approved", "released"]) -> Decision:
    author = pending.actor
    if not room.admits(author, moment.now) or room.banned(author.user, moment.now):
        raise Rejected("banned", "The author is no longer admitted to this room.")
    if room.closed:
        raise Rejected("forbidden", "This room is closed.", field="closed")
    check_writer(room, author, room.role(author), moment.now)
    event = _created(room, author, pending.text, pending.reply_to, moment)
    return Decision(events=(event,), effects=(TakePending(pending.id, author.user, outcome),), timed=True)


def purge(room: Room, by: By, user: str, seconds: int, first_pos: int, moment: Moment) -> list[e.Logged]:
    """The deletions that go with a ban, from position `first_pos` on: of what was looked up, and of what the room knows
    better, as messages that are written together with the ban.
    """
    since = moment.now - seconds * 1_000
    targets = set(moment.facts.purge)
    for pos, message in room.messages.items():
        if message is not None and message.by.id == user and message.at >= since:
            (targets.discard if message.text is None else targets.add)(pos)
    return [
        e.MessageDeleted(room=room.id, pos=first_pos + i, at=moment.now, by=by, target=target)
        for i, target in enumerate(sorted(targets, reverse=True)[:MAX_PURGE])
    ]


def _head(room: Room, actor: Actor, moment: Moment) -> dict[str, Any]:
    return {"room": room.id, "pos": room.pos + 1, "at": moment.now, "by": room.by(actor)}


def _one(event: e.Logged) -> Decision:
    return Decision(events=(event,))
