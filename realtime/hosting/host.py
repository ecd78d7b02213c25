"""One room at work: its inbox, and the way of a command from being decided to being heard.

inbox → look up what is needed → decide (the free part) → judge → decide with the verdict, in sequence → append, one
transaction → reply → apply → publish. A batch is whatever arrived while the last one was being written.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from realtime import ports
from realtime.hosting.entry import Entry, repeat, unmet
from rooms.actors import Actor
from rooms.decide import MAX_PURGE, NOTHING, Decision, Facts, Limits, Moment, decide, needs
from rooms.drafts import Draft, Verdict
from rooms.effects import Effect, SpaceMessages
from rooms.errors import Rejected
from rooms.events import Logged
from rooms.ids import Millis
from rooms.mentions import Named
from rooms.room import Person, Room

log = structlog.get_logger("realtime.host")

BATCH = 256
"""Commands decided and written together."""
INBOX = 4_096
"""Commands that may wait in one room; above, `unavailable`."""
TRIES = 5
"""How often a command is decided before others, on other nodes, who were quicker each time, have it refused as
`unavailable`."""

NO_FACTS = Facts()


class Surroundings(Protocol):
    """What a host needs of the process around it."""

    store: ports.Store
    policy: ports.Policy
    clock: ports.Clock
    limits: Limits
    answering: AbstractContextManager[object]
    """Entered while a batch is answered, of which nothing waits: answers may be held, and written when it ends."""

    def fresh(self) -> str:
        """A random id: 128 bits or more, letters and digits."""

    def written(self, seconds: float, events: int) -> None:
        """A batch of so many events is durable, this long after it was handed to the store."""

    def committed(self, host: "Host", events: Sequence[Logged], effects: Sequence[tuple[Effect, int | None]]) -> None:
        """The room has gone on: the events are in the log and applied, the replies are written. Each effect comes
        with the position that its command was given.
        """


class Host:
    """The room `room` as committed. All its changes go through `submit`; nothing of a batch shows before its commit."""

    def __init__(self, loaded: ports.Loaded, around: Surroundings):
        self.room: Room = loaded.room
        self.epoch = loaded.epoch
        self.first_pos = loaded.first_pos
        self.used_at: Millis = around.clock()
        self._around = around
        self._inbox: deque[Entry] = deque()
        self._parked: dict[object, deque[Entry]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stale = False
        self._judging: set[asyncio.Future[None]] = set()

    @property
    def busy(self) -> bool:
        return self._task is not None or bool(self._parked)

    @property
    def waiting(self) -> int:
        """Commands in the inbox, and behind a verdict that is awaited."""
        return len(self._inbox) + sum(map(len, self._parked.values()))

    def renamed(self, actor: Actor) -> None:
        """The user goes by another name from now on."""
        person = self.room.people.get(actor.user)
        if person is not None:
            self.room.know_person(actor.user, replace(person, name=actor.name, avatar=actor.avatar))

    def submit(self, entry: Entry) -> None:
        """Takes a command. Its answer comes when it is committed or refused, never before this returns."""
        self.used_at = self._around.clock()
        behind = self._parked.get(entry.lane)
        if behind is not None:
            if len(behind) >= INBOX:
                raise Rejected("unavailable", "This room is busy.", retry_after_ms=1_000)
            behind.append(entry)
            return
        if len(self._inbox) >= INBOX:
            raise Rejected("unavailable", "This room is busy.", retry_after_ms=1_000)
        self._inbox.append(entry)
        self._wake()

    def catch_up(self) -> None:
        """The log is known to have gone on without this host, as after a commit of which it never heard."""
        self._stale = True
        self._wake()

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"room {self.room.id}")

    async def _run(self) -> None:
        try:
            behind = self._stale
            while self._inbox or behind:
                behind = False
                batch = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
                for entry in batch:
                    entry.kept = False
                try:
                    await self._process(batch)
                except ports.Unavailable as error:
                    self._stale = True
                    refusal = Rejected("unavailable", "Try again in a moment.", retry_after_ms=error.retry_after_ms)
                    self._answer_all(batch, refusal)
                except Exception:
                    self._stale = True
                    log.exception("batch_failed", room=self.room.id)
                    self._answer_all(batch, Rejected("internal", "Something went wrong here."))
        finally:
            self._task = None

    @staticmethod
    def _answer_all(batch: list[Entry], refusal: Rejected) -> None:
        """For those of a batch that have had no answer yet, and will have no other: an answered entry has given its
        `answer` away.
        """
        for entry in batch:
            if not entry.kept:
                entry.done(refusal)

    def abandon(self) -> None:
        """Waits for verdicts no more: what is being judged stays unsaid, and without an answer."""
        for judging in self._judging:
            judging.cancel()

    # One batch

    async def _process(self, batch: list[Entry]) -> None:
        await self._refresh()
        batch = [entry for entry in batch if not (entry.again and await self._repeated(entry))]
        now = self._around.clock()
        self.room.forget()
        facts = await self._look_up(batch, now)
        ahead = self.room.copy() if len(batch) > 1 else self.room
        decided: list[tuple[Entry, Decision]] = []
        refused: list[tuple[Entry, dict[str, Any] | Rejected]] = []
        for entry in batch:
            behind = self._parked.get(entry.lane)
            # What is decided again came before all that was parked since.
            if behind is not None and not entry.again:
                entry.kept = True
                behind.append(entry)
                continue
            try:
                outcome = self._decide(ahead, entry, Moment(
                    now=now,
                    fresh=self._around.fresh(),
                    facts=facts[entry],
                    verdict=entry.verdict,
                    limits=self._around.limits,
                ))  # fmt: skip
            except Rejected as refusal:
                refused.append((entry, await self._first_reply(entry, refusal)))
                continue
            if isinstance(outcome, Decision):
                decided.append((entry, outcome))
                if ahead is not self.room:
                    ahead.apply_all(outcome.events)
                    _note_pace(ahead, outcome.effects)
            else:
                entry.kept = True
                self._parked.setdefault(entry.lane, deque())
                self._await_verdict(entry, outcome)
        if decided:
            unwritten, again = await self._write(decided, now)
            if unwritten is not None:
                # Whoever was refused after that was refused on what is not so.
                first = batch.index(unwritten)
                again += [entry for entry, _ in refused if batch.index(entry) > first]
                refused = [(entry, answer) for entry, answer in refused if batch.index(entry) < first]
                self._decide_again(sorted(again, key=batch.index), stalled=unwritten in again)
        for entry, answer in refused:
            entry.done(answer)

    def _decide_again(self, entries: list[Entry], *, stalled: bool) -> None:
        """Before all that has come since. `stalled`: the first of them was not settled, as others were quicker."""
        for entry in entries:
            entry.tries += stalled
            entry.again = entry.kept = entry.tries < TRIES
            if not entry.kept:
                entry.done(Rejected("unavailable", "This room is busy.", retry_after_ms=200))
        self._inbox.extendleft(reversed([entry for entry in entries if entry.kept]))

    async def _refresh(self) -> None:
        """After a failure only the log knows what is in it."""
        if not self._stale:
            return
        loaded = await self._around.store.load(self.room.id)
        if loaded is not None:
            events = await self._around.store.events(
                self.room.id, after=self.room.pos, to=loaded.room.pos, limit=loaded.room.pos - self.room.pos or 1
            )
            self.room, self.epoch, self.first_pos = loaded.room, loaded.epoch, loaded.first_pos
            if events:
                self._around.committed(self, events, ())
        self._stale = False

    def _decide(self, room: Room, entry: Entry, moment: Moment) -> Decision | Awaitable[Verdict]:
        """The decision, or the verdict to wait for. Raises Rejected."""
        outcome = decide(room, entry.actor, entry.command, moment)
        if not isinstance(outcome, Draft):
            return outcome
        verdict = self._around.policy.judge(outcome)
        if not isinstance(verdict, Verdict):
            return verdict
        entry.verdict = verdict
        outcome = decide(room, entry.actor, entry.command, replace(moment, verdict=verdict))
        if isinstance(outcome, Draft):
            raise TypeError(f"{type(entry.command).__name__} asks to be judged twice")
        return outcome

    def _await_verdict(self, entry: Entry, verdict: Awaitable[Verdict]) -> None:
        """The lane waits for the verdict; other lanes go on."""

        async def wait() -> None:
            try:
                entry.verdict = await verdict
            except Exception:
                log.exception("policy_failed", room=self.room.id)
                entry.verdict = Verdict("hold", policy="", rule="policy_failed", reason="This could not be checked.")
            behind = self._parked.pop(entry.lane, ())
            self._inbox.extendleft(reversed([entry, *behind]))
            self._wake()

        self._judging.add(task := asyncio.ensure_future(wait()))
        task.add_done_callback(self._judging.discard)

    async def _look_up(self, batch: list[Entry], now: Millis) -> dict[Entry, Facts]:
        """Makes the room know what the batch needs; the rest comes back, a command each. What a message quotes is
        known only once the message is: a second round asks for that.
        """
        facts = dict.fromkeys(batch, NO_FACTS)
        asking = [entry for entry in batch if needs(self.room, entry.actor.user, entry.command, now) is not NOTHING]
        if not asking:
            return facts
        for entry in asking:
            facts[entry] = await self._look_up_own(entry, now)
        named = Named()
        for turn in range(2):
            wanted = [needs(self.room, entry.actor.user, entry.command, now, facts[entry]) for entry in asking]
            people = frozenset().union(*(need.people for need in wanted))
            messages = frozenset().union(*(need.messages for need in wanted))
            names = frozenset().union(*(need.names for need in wanted)) if turn == 0 else frozenset()
            if not (people or messages or names):
                break
            found = await self._around.store.find(self.room.id, people=people, messages=messages, names=names)
            named = found.named if names else named
            for user, person in found.people.items():
                self.room.know_person(user, person)
            for pos, message in found.messages.items():
                self.room.know_message(pos, message)
        nothing = Facts(named=named)
        return {entry: nothing if own is NO_FACTS else replace(own, named=named) for entry, own in facts.items()}

    async def _look_up_own(self, entry: Entry, now: Millis) -> Facts:
        """What only this command needs."""
        need = needs(self.room, entry.actor.user, entry.command, now)
        if need.invite is None and need.pending is None and need.purge is None:
            return NO_FACTS
        found = await self._around.store.find(
            self.room.id, invite=need.invite, pending=need.pending, purge=need.purge, purge_limit=MAX_PURGE
        )
        return Facts(invite=found.invite, pending=found.pending, purge=found.purge)

    async def _first_reply(self, entry: Entry, refusal: Rejected) -> dict[str, Any] | Rejected:
        """A command that has succeeded before gets its first reply again, whatever would refuse it now."""
        found = await self._around.store.duplicate(entry.key) if entry.key is not None else None
        return refusal if found is None else repeat(found)

    async def _repeated(self, entry: Entry) -> bool:
        """Whether the command has succeeded before. Then it is answered: of many that are repeated together, as by a
        client that has come back, not each need end a batch.
        """
        found = await self._around.store.duplicate(entry.key) if entry.key is not None else None
        if found is not None:
            entry.done(repeat(found))
        return found is not None

    async def _write(self, decided: list[tuple[Entry, Decision]], now: Millis) -> tuple[Entry | None, list[Entry]]:
        """Returns the first that was not written, and those that were not even tried: they are to be decided again."""
        proposals = tuple(
            ports.Proposal(d.events, d.effects, entry.key, d.reply, d.pos, d.timed) for entry, d in decided
        )
        batch = ports.Batch(self.room.id, self.room.pos, self.room.rules_pos, now, proposals)
        began = time.perf_counter()
        appended = await self._around.store.append(batch)
        self._around.written(time.perf_counter() - began, len(appended.events))
        if not batch.base and not any(isinstance(result, ports.Written) for result in appended.results):
            # A room was to be made where there is one: its log is none of this host's business.
            for entry, _ in decided:
                entry.done(await self._first_reply(entry, unmet(None)))
            return None, []
        self.room.apply_all(appended.events)
        effects: list[tuple[Effect, int | None]] = []
        unwritten: Entry | None = None
        again: list[Entry] = []
        with self._around.answering:
            for (entry, decision), result in zip(decided, appended.results, strict=True):
                if unwritten is None and not isinstance(result, ports.Written):
                    unwritten = entry
                match result:
                    case ports.Written(reply):
                        effects.extend((effect, reply.get("pos")) for effect in decision.effects)
                        entry.done(reply)
                    case ports.Duplicate() | ports.KeyReused():
                        entry.done(repeat(result))
                    case ports.Refused(effect):
                        if isinstance(effect, SpaceMessages):
                            self.room.forget_person(effect.user)
                        entry.done(unmet(effect))
                    case ports.NotTried():
                        again.append(entry)
        _note_pace(self.room, [effect for effect, _ in effects])
        self._around.committed(self, appended.events, effects)
        return unwritten, again


def _note_pace(room: Room, effects: Sequence[Effect]) -> None:
    """A message that waits has no event yet, but slow mode counts from it."""
    for effect in effects:
        if isinstance(effect, SpaceMessages):
            person = room.people.get(effect.user) or Person(user=effect.user, name=effect.user)
            room.know_person(effect.user, replace(person, last_at=max(person.last_at, effect.at)))
