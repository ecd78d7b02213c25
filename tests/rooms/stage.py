"""A room at work without a server: what deciding needs is looked up in plain dicts, what it gives is applied."""

import copy
from typing import Any

from msgspec.structs import replace

from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, Role
from rooms.decide import Decision, Facts, Limits, Moment, Release, decide, needs
from rooms.drafts import Draft, Verdict
from rooms.effects import (
    AddInvite,
    AddPending,
    AddReport,
    Effect,
    Invite,
    Pending,
    Recording,
    Report,
    RevokeInvite,
    SaveStream,
    SpaceMessages,
    TakePending,
    UseInvite,
)
from rooms.errors import Rejected
from rooms.live import Stream
from rooms.mentions import Named
from rooms.room import Person, Room
from rooms.settings import SettingsPatch

NOW = 1_795_367_182_123
ALLOW = Verdict("allow", "default@test")
ROOT = Actor(user="root", name="Root", admin=True)


def user(name: str, **claims: Any) -> Actor:
    return Actor(user=name, name=name.capitalize(), **claims)


class Stage:
    """One room, its log from the first event, and what stands beside it. `now` is the time of the next command."""

    def __init__(
        self,
        kind: str = "group",
        visibility: str = "public",
        *,
        owner: Actor | None = None,
        limits: Limits | None = None,
        **settings: Any,
    ):
        self.room = Room("r1")
        self.log: list[e.Logged] = []
        self.now = NOW
        self.limits = limits or Limits()
        self.invites: dict[str, Invite] = {}
        self.pending: dict[str, Pending] = {}
        self.reports: list[Report] = []
        self.stream = Stream()
        self.recordings: dict[str, Recording] = {}
        self.fresh = 0
        create = c.RoomCreate(
            kind=kind,  # type: ignore[arg-type]  # of a table
            title="Title",
            visibility=visibility,  # type: ignore[arg-type]  # of a table
            settings=SettingsPatch(**settings),
        )
        self.do(owner or user("olga"), create)

    def copy(self) -> "Stage":
        other = copy.copy(self)
        other.room, other.log = self.room.copy(), [*self.log]
        other.invites, other.pending, other.reports = {**self.invites}, {**self.pending}, [*self.reports]
        return other

    def do(self, actor: Actor, command: c.Decided | Release, verdict: Verdict = ALLOW) -> Decision:
        """Decides as a server does, applies what comes of it, and steps a second on. Raises Rejected."""
        self.fresh += 1
        moment = Moment(now=self.now, fresh=f"id{self.fresh}", facts=self.facts(actor, command), limits=self.limits)
        decision = decide(self.room, actor, command, moment)
        if isinstance(decision, Draft):
            decision = decide(
                self.room,
                actor,
                command,
                Moment(now=moment.now, fresh=moment.fresh, facts=moment.facts, limits=self.limits, verdict=verdict),
            )
        assert isinstance(decision, Decision)
        self.apply(*decision.events)
        for effect in decision.effects:
            self._take(effect)
        self.now += 1_000
        return decision

    def apply(self, *events: e.Logged) -> None:
        for event in events:
            assert event.pos == self.room.pos + 1
            self.room.apply(event)
            self.log.append(event)

    def send(self, actor: Actor, text: str = "hello", **more: Any) -> int:
        """Sends a message and returns its position."""
        return self.do(actor, c.MessageSend(room="r1", text=text, **more)).events[0].pos

    def join(self, *actors: Actor) -> None:
        for actor in actors:
            self.do(ROOT, c.InviteCreate(room="r1"))
            self.do(actor, c.InviteAccept(code=next(reversed(self.invites))))

    def promote(self, actor: Actor, role: str) -> None:
        self.do(ROOT, c.MemberRole(room="r1", user=actor.user, role=role))  # type: ignore[arg-type]  # of a table

    def refusal(self, actor: Actor, command: c.Decided | Release, verdict: Verdict = ALLOW) -> Rejected:
        """The refusal that the command must get."""
        before = len(self.log)
        try:
            decision = self.do(actor, command, verdict)
        except Rejected as refusal:
            assert len(self.log) == before
            return refusal
        raise AssertionError(f"{command} was not refused, but decided: {decision}")

    def facts(self, actor: Actor, command: c.Decided | Release) -> Facts:
        need = needs(self.room, actor.user, command, self.now)
        pending = self.pending.get(need.pending) if need.pending else None
        if pending is not None:
            need = needs(self.room, actor.user, command, self.now, Facts(pending=pending))
        names: dict[str, str | None] = {}
        for person in filter(None, self.room.people.values()):
            folded = person.name.casefold()
            if folded in need.names or any(name.casefold() == folded for name in need.names):
                names[folded] = None if folded in names else person.user
        purge: tuple[int, ...] = ()
        if need.purge is not None:
            target, since = need.purge
            found = (m for m in self.room.messages.values() if m and m.by.id == target and m.at >= since)
            purge = tuple(sorted((m.pos for m in found if m.text is not None), reverse=True))
        return Facts(
            named=Named(frozenset(name for name in need.names if name in self.room.people), names),
            invite=self.invites.get(need.invite) if need.invite else None,
            pending=pending,
            purge=purge,
            stream=self.stream if need.stream else Stream(),
            recording=self.recordings.get(need.recording) if need.recording else None,
        )

    def _take(self, effect: Effect) -> None:
        match effect:
            case AddInvite():
                self.invites[effect.invite.code] = effect.invite
            case RevokeInvite() | UseInvite():
                self._invite(effect)
            case AddPending():
                self.pending[effect.pending.id] = effect.pending
            case TakePending():
                del self.pending[effect.id]
            case AddReport():
                self.reports.append(effect.report)
            case SaveStream():
                assert effect.stream.version == self.stream.version
                self.stream = replace(effect.stream, version=effect.stream.version + 1)
            case SpaceMessages():
                person = self.room.people.get(effect.user) or Person(user=effect.user, name=effect.user)
                self.room.know_person(effect.user, Person(**{**_fields(person), "last_at": effect.at}))
            case _:
                return

    def _invite(self, effect: RevokeInvite | UseInvite) -> None:
        invite = self.invites.pop(effect.code, None)
        if invite is None:
            raise Rejected("not_found", "There is no such invite.")
        if isinstance(effect, UseInvite):
            uses = None if invite.uses is None else invite.uses - 1
            self.invites[invite.code] = Invite(invite.code, invite.room, invite.by, uses, invite.until)


def _fields(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in person.__struct_fields__}


def check_sound(stage: Stage) -> None:
    """What is so of every room at any time."""
    room = stage.room
    assert [event.pos for event in stage.log] == list(range(1, len(stage.log) + 1))
    assert room.n == sum(isinstance(event, e.MessageCreated) for event in stage.log)
    members = {u: p.role for u, p in room.people.items() if p and p.member}
    assert room.members == len(members)
    assert room.staff == {u: role for u, role in members.items() if role >= Role.MODERATOR}
    assert Role.OWNER in room.staff.values()
