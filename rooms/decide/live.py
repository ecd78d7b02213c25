"""Decides who goes live, and when it begins, is interrupted, goes on and ends.

What everybody may know is an event; the rest stands in the room's Stream (docs/decisions/0021).
"""

from typing import Literal, get_args

from msgspec.structs import replace

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, Role
from rooms.decide.admin import title_judged
from rooms.decide.decision import Decision, Moment, Outcome
from rooms.drafts import Draft
from rooms.effects import Effect, Ending, HideRecordings, SaveStream
from rooms.errors import Rejected
from rooms.ids import Millis
from rooms.live import (
    ADMITTED_MS,
    BEAT_MS,
    HELD_MS,
    HIDING,
    MOST_TAKEOVERS,
    TAKEOVERS_MS,
    Ended,
    Flowing,
    Internal,
    Lapse,
    Left,
    Publish,
    Stream,
    media,
)
from rooms.permissions import until
from rooms.room import Room
from rooms.text import check_text

# Clients' commands


def start(room: Room, actor: Actor, role: Role, command: c.LiveStart, moment: Moment) -> Outcome:
    """Prepares the next live, makes a test public, or says what the present live is called from now on."""
    check_live_room(room)
    check_kyc(actor, moment)
    stream = _settled(moment)
    if command.test and stream.on and not stream.test:
        raise Rejected("forbidden", "This stream is for everybody already: stop it first.", field="test")
    title = command.title
    if title is not None and title != stream.title:
        check_text(title, "title", lines=False)
        if moment.verdict is None:
            return Draft("title", room.id, actor.user, role, title, room.settings.policy)
        title = title_judged(moment.verdict, title)
    if command.category:
        check_text(command.category, "category", lines=False)
    prepared = replace(
        stream,
        title=stream.title if title is None else title,
        category=stream.category if command.category is None else command.category or None,
        mature=stream.mature if command.mature is None else command.mature,
        test=command.test,
        stopped=False,
    )
    events: tuple[e.Logged, ...] = ()
    if room.live is not None:
        events = _updated(room, actor, prepared, moment)
    elif prepared.state == "flowing" and not prepared.test:
        events = (_started(room, actor, prepared, moment),)
    if prepared == stream and stream.version and not events:
        return Decision(reply={"duplicate": True})
    return Decision(events=events, effects=(SaveStream(prepared),))


def _settled(moment: Moment) -> Stream:
    """Raises Rejected while what came before is still being ended."""
    if moment.facts.stream.state == "ending":
        raise Rejected("unavailable", "The room's last stream is just ending.", retry_after_ms=200)
    return moment.facts.stream


def stop(room: Room, actor: Actor, moment: Moment) -> Decision:
    stream = moment.facts.stream
    if stream.stopped and not stream.on and room.live is None:
        return Decision(reply={"duplicate": True})
    # Who streamed may just have lost the right to it, and what that hides is not to be shown again by this.
    reason = _reason(stream) if stream.state == "ending" else "stopped"
    return _ended(room, actor, replace(stream, stopped=True), reason, moment)


def take_down(room: Room, actor: Actor, moment: Moment) -> Decision:
    """As `stop`; what was recorded of this live, or of the last one, is hidden."""
    return _ended(room, actor, replace(moment.facts.stream, stopped=True), "taken_down", moment)


def check_live_room(room: Room) -> None:
    if room.kind != "live":
        raise Rejected("forbidden", "Only live rooms have streams.", field="kind")


def check_kyc(actor: Actor, moment: Moment) -> None:
    """Raises Rejected for who is not known well enough to the platform, where that is asked for."""
    if moment.limits.kyc and not actor.kyc:
        raise Rejected("forbidden", "Who goes live here has to be verified by the platform first.", field="kyc")


# The server's own


def own(room: Room, actor: Actor, command: Internal, moment: Moment) -> Decision:
    stream = moment.facts.stream
    match command:
        case Publish():
            return _publish(room, actor, command, moment)
        case Flowing():
            if stream.fence != command.fence or not stream.on:
                raise Rejected("forbidden", "This publisher is not the room's newest any more.", field="fence")
            return _flowing(room, actor, stream, moment)
        case Left():
            if stream.fence != command.fence or stream.state not in ("admitted", "flowing"):
                return Decision(pos=False)
            return _gone(room, actor, stream, moment)
        case Lapse():
            return _lapse(room, actor, stream, moment)


def _publish(room: Room, actor: Actor, command: Publish, moment: Moment) -> Decision:
    """The newest publisher is the one, unless owners take the room from each other again and again. Who comes back
    within the grace goes on with the same live; another owner's live is another one.
    """
    stream = _settled(moment)
    check_live_room(room)
    if room.banned(actor.user, moment.now) and not actor.admin:
        raise until("banned", "You are banned from this room.", room.people[actor.user].banned_until, moment.now)  # type: ignore[union-attr]  # banned() has found the person
    if room.closed:
        raise Rejected("forbidden", "This room is closed.", field="closed")
    if room.role(actor) < Role.OWNER:
        raise Rejected("forbidden", "Only owners may go live.")
    check_kyc(actor, moment)
    if stream.stopped:
        raise Rejected("forbidden", "This live was stopped: start it anew first.", field="stopped")
    goes_on = stream.on and stream.user == actor.user
    takes_over = stream.state in ("admitted", "flowing") and not goes_on
    admitted = replace(
        _contested(stream, moment.now) if takes_over else stream,
        state="admitted",
        user=actor.user,
        session=stream.session if goes_on else moment.fresh,
        fence=stream.fence + 1,
        node=command.node,
        process=command.process,
        started_at=stream.started_at if goes_on else moment.now,
        until=moment.now + ADMITTED_MS,
        reason="",
    )
    events: tuple[e.Logged, ...] = ()
    ended = None
    if stream.on and not goes_on:
        events, ended = _stopped(room, actor, "replaced", moment), _ending(stream, "replaced")
    elif stream.on and stream.process != command.process:
        ended = _ending(stream, "moved")
    shown = admitted if admitted.title else replace(admitted, title=room.title)
    return Decision(events=events, effects=(SaveStream(admitted, ended),), reply={"stream": shown}, pos=False)


def _contested(stream: Stream, now: Millis) -> Stream:
    """Another owner takes a stream whose publisher is there. Raises Rejected where that has been so too often."""
    held = stream.takeovers >= MOST_TAKEOVERS
    ends = stream.contested + (HELD_MS if held else TAKEOVERS_MS)
    if now >= ends:
        return replace(stream, takeovers=1, contested=now)
    if held:
        raise Rejected(
            "rate_limited",
            "Two owners' encoders replace each other here again and again, so the running one stays for some minutes: "
            "stop one of them.",
            retry_after_ms=ends - now,
        )
    takeovers = stream.takeovers + 1
    return replace(stream, takeovers=takeovers, contested=now if takeovers == MOST_TAKEOVERS else stream.contested)


def _flowing(room: Room, actor: Actor, stream: Stream, moment: Moment) -> Decision:
    events: tuple[e.Logged, ...] = ()
    if room.live is None and not stream.test:
        events = (_started(room, actor, stream, moment),)
    elif room.live is not None and room.live.interrupted is not None:
        events = (e.LiveResumed(room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor)),)
    flowing = replace(stream, state="flowing", until=moment.now + BEAT_MS)
    return Decision(events=events, effects=(SaveStream(flowing),), pos=False)


def _gone(room: Room, actor: Actor, stream: Stream, moment: Moment) -> Decision:
    """Who never got as far as to be seen leaves nothing behind."""
    if stream.state == "admitted" and room.live is None:
        return _ended(room, actor, stream, "gone", moment, pos=False)
    since = moment.now
    events: tuple[e.Logged, ...] = ()
    if room.live is not None and room.live.interrupted is not None:
        since = room.live.interrupted
    elif room.live is not None:
        events = (e.LiveInterrupted(room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor)),)
    waiting = replace(stream, state="interrupted", until=since + moment.limits.grace_ms)
    return Decision(events=events, effects=(SaveStream(waiting),), pos=False)


def _lapse(room: Room, actor: Actor, stream: Stream, moment: Moment) -> Decision:
    if stream.until is None or stream.until > moment.now:
        return Decision(pos=False)
    if stream.state in ("admitted", "flowing"):
        return _gone(room, actor, stream, moment)
    return _ended(room, actor, stream, _reason(stream) if stream.state == "ending" else "gone", moment, pos=False)


def _reason(stream: Stream) -> Ended:
    """Why it is ending."""
    return next((one for one in get_args(Ended) if one == stream.reason), "gone")


def _ended(room: Room, actor: Actor, stream: Stream, reason: Ended, moment: Moment, *, pos: bool = True) -> Decision:
    """Nobody publishes any more. What was prepared is there for the next time, but that it is a test."""
    events = _stopped(room, actor, reason, moment)
    ended = replace(stream, state="idle", until=None, reason=reason, test=False)
    shown = stream.on or stream.state == "ending" or reason == "taken_down"
    effects: tuple[Effect, ...] = (SaveStream(ended, _ending(stream, reason) if shown else None),)
    if reason in HIDING:
        effects += (HideRecordings(stream.session),)
    return Decision(events=events, effects=effects, pos=pos)


def _ending(stream: Stream, reason: Ended | Literal["moved"]) -> Ending:
    return Ending(stream.process, stream.session, stream.fence, reason)


def _stopped(room: Room, actor: Actor, reason: Ended, moment: Moment) -> tuple[e.Logged, ...]:
    """Nothing where the log knows of no live."""
    if room.live is None:
        return ()
    said = reason if reason != "stopped" else None
    return (e.LiveStopped(room=room.id, pos=room.pos + 1, at=moment.now, by=room.by(actor), reason=said),)


def _started(room: Room, actor: Actor, stream: Stream, moment: Moment) -> e.LiveStarted:
    return e.LiveStarted(
        room=room.id,
        pos=room.pos + 1,
        at=moment.now,
        by=room.by(actor),
        session=stream.session,
        title=stream.title or room.title,
        category=stream.category,
        mature=stream.mature,
        media=media(room.id),
    )


def _updated(room: Room, actor: Actor, stream: Stream, moment: Moment) -> tuple[e.Logged, ...]:
    live, title = room.live, stream.title or room.title
    if live is None or (live.title, live.category, live.mature) == (title, stream.category, stream.mature):
        return ()
    event = e.LiveUpdated(
        room=room.id,
        pos=room.pos + 1,
        at=moment.now,
        by=room.by(actor),
        title=title,
        category=stream.category,
        mature=stream.mature,
    )
    return (event,)
