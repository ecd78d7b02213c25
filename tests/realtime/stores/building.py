"""Builds rooms and batches for the stores' tests, through the domain's own decisions."""

from collections.abc import Sequence
from typing import Any

from realtime.ports import Appended, Batch, KeyClaim, Proposal, Store
from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, By
from rooms.decide import Decision, Facts, Moment, Needs, decide, needs
from rooms.decide.decision import Limits
from rooms.drafts import Draft, Verdict
from rooms.ids import Millis
from rooms.room import Room

NOW: Millis = 1_795_000_000_000
ALLOW = Verdict("allow", "none")


def actor(user: str, **more: Any) -> Actor:
    return Actor(user=user, name=user.capitalize(), **more)


ANN, BOB, CAT = actor("ann"), actor("bob"), actor("cat")


def proposal(decision: Decision, key: KeyClaim | None = None) -> Proposal:
    return Proposal(decision.events, decision.effects, key, decision.reply, decision.pos, decision.timed)


def batch(room: Room, proposals: Sequence[Proposal], now: Millis = NOW) -> Batch:
    return Batch(room.id, room.pos, room.rules_pos, now, tuple(proposals))


def judged(room: Room, by: Actor, command: c.Decided, moment: Moment) -> Decision:
    outcome = decide(room, by, command, moment)
    if isinstance(outcome, Draft):
        outcome = decide(room, by, command, Moment(moment.now, moment.fresh, moment.facts, ALLOW, moment.limits))
    assert isinstance(outcome, Decision)
    return outcome


class Talk:
    """One room of a store as a host holds it: decides on a loaded room, appends, applies."""

    def __init__(self, store: Store, room: Room):
        self.store = store
        self.room = room
        self.now = NOW
        self.limits = Limits()

    async def decided(self, by: Actor, command: c.Decided, fresh: str = "fresh") -> Decision:
        """Looks up what the decision needs; raises Rejected."""
        need = needs(self.room, by.user, command, self.now)
        facts = await self._learn(need)
        more = needs(self.room, by.user, command, self.now, facts)
        if more.people or more.messages:
            facts = await self._learn(more)
        return judged(self.room, by, command, Moment(self.now, fresh, facts, None, self.limits))

    async def _learn(self, need: Needs) -> Facts:
        found = await self.store.find(
            self.room.id,
            people=need.people,
            messages=need.messages,
            names=need.names,
            invite=need.invite,
            pending=need.pending,
            purge=need.purge,
            purge_limit=500,
            stream=need.stream,
            recording=need.recording,
        )
        for user, person in found.people.items():
            self.room.know_person(user, person)
        for pos, message in found.messages.items():
            self.room.know_message(pos, message)
        return Facts(found.named, found.invite, found.pending, found.purge, found.stream, found.recording)

    async def append(self, proposals: Sequence[Proposal]) -> Appended:
        appended = await self.store.append(batch(self.room, proposals, self.now))
        self.room.apply_all(appended.events)
        return appended

    async def do(self, by: Actor, command: c.Decided, *, key: KeyClaim | None = None, fresh: str = "fresh") -> Any:
        """One command, alone in its batch. Returns its result; each takes a second."""
        self.now += 1_000
        decision = await self.decided(by, command, fresh)
        appended = await self.append([proposal(decision, key)])
        return appended.results[0]

    async def send(self, by: Actor, text: str, **more: Any) -> int:
        """Sends a message; returns its position."""
        result = await self.do(by, c.MessageSend(room=self.room.id, text=text, **more))
        return int(result.reply["pos"])


async def talk(
    store: Store, room_id: str = "r1", by: Actor = ANN, *, kind: Any = "group", visibility: Any = "public", **more: Any
) -> Talk:
    """A new room, owned by `by`."""
    it = Talk(store, Room(room_id))
    admin = Actor(user=by.user, name=by.name, avatar=by.avatar, admin=True)
    await it.do(admin, c.RoomCreate(kind=kind, title="Room", visibility=visibility, room=room_id, **more))
    return it


def message(room: str, pos: int, by: Actor = ANN, text: str = "hello", n: int = 0) -> e.MessageCreated:
    """A created message as an event, as far as a decision would know it."""
    who = By(by.user, by.name, "member", by.avatar)
    return e.MessageCreated(room=room, pos=pos, at=NOW, by=who, message=e.Body(text=text, n=n or pos, mentions=()))
