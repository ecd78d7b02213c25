"""One room at work: its inbox, and the way of a command from being decided to being heard.

inbox → look up what is needed → decide (the free part) → judge → decide with the verdict, in sequence → append, one
transaction with what other rooms have decided in the same round → reply → apply → publish. A batch is whatever arrived
while the last one was being written.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from realtime import ports
from realtime.hosting.deciding import Deciding, note_pace
from realtime.hosting.entry import Entry, repeat, unmet
from realtime.hosting.keeping_up import Counters, KeepingUp
from realtime.hosting.lookup import NO_FACTS, look_up
from realtime.hosting.repeats import first_reply, repeated
from realtime.hosting.rounds import Rounds, Written
from realtime.tracing import Trace
from rooms.actors import By
from rooms.decide import NOTHING, Decision, Limits, Moment, decide, judged, needs
from rooms.drafts import Draft, Verdict
from rooms.effects import Effect, SpaceMessages
from rooms.errors import Rejected
from rooms.events import Logged
from rooms.ids import Millis
from rooms.room import Person, Room

logger = structlog.get_logger("realtime.host")

BATCH = 256
"""Commands decided and written together."""
INBOX = 4_096
"""Commands that may wait in one room; above, `unavailable`."""
TRIES = 5
"""How often a command is decided while others, on other nodes, are quicker; then it is refused as `unavailable`."""


class Surroundings(Protocol):
    """What a host needs of the process around it."""

    store: ports.Store
    policy: ports.Policy
    clock: ports.Clock
    limits: Limits
    rounds: Rounds
    keeping_up: Counters

    def fresh(self) -> str:
        """A random id: 128 bits or more, letters and digits."""

    def committed(self, host: "Host", written: Written) -> None:
        """The room has gone on: the events are in the log and applied, the replies are written."""

    def reset(self, host: "Host") -> None:
        """The room has gone on by more than can be told, or is another one since a restore."""


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
        self._batch: Deciding | None = None
        self._asked = False
        """Whether the room takes part in a round, from asking for it until its batch is settled."""
        self.log = KeepingUp(self, around.store, around.keeping_up)
        self._tasks: set[asyncio.Future[None]] = set()
        """Verdicts that are awaited, and questions to the store."""

    @property
    def busy(self) -> bool:
        return self._asked or bool(self._parked) or bool(self._tasks)

    @property
    def waiting(self) -> int:
        """Commands in the inbox, and behind a verdict that is awaited."""
        return len(self._inbox) + sum(map(len, self._parked.values()))

    def renamed(self, user: By) -> None:
        """The user goes by another name from now on."""
        for room in self._rooms():
            person = room.people.get(user.id)
            if person is not None:
                room.know_person(user.id, replace(person, name=user.name, avatar=user.avatar))

    def pruned(self, first_pos: int) -> None:
        """The log begins at a later position than was known."""
        self.first_pos = first_pos
        for room in self._rooms():
            room.prune(first_pos)

    def learn(self, user: str, person: Person | None) -> None:
        """What the store says of a user whom the room does not know, as of the room's position."""
        for room in self._rooms():
            if not room.knows_person(user):
                room.know_person(user, person)
        if not self._asked:
            self.room.forget(self._around.clock())

    def _rooms(self) -> Sequence[Room]:
        """The room, and the one that it is about to be: what is decided concerns nobody whom that one does not know."""
        ahead = self._batch.ahead if self._batch is not None else None
        return (self.room,) if ahead is None or ahead is self.room else (self.room, ahead)

    def submit(self, entry: Entry) -> None:
        """Takes a command. Its answer comes when it is committed or refused, never before this returns."""
        behind = self._parked.get(entry.lane) if self._parked else None
        queue = self._inbox if behind is None else behind
        if len(queue) >= INBOX:
            raise Rejected("unavailable", "This room is busy.", retry_after_ms=1_000)
        queue.append(entry)
        if behind is None:
            self.ask()

    @property
    def deciding(self) -> bool:
        """Whether a batch is being decided, written or told of: until then the room does not change."""
        return self._asked

    def abandon(self) -> None:
        """Waits for verdicts no more: what is being judged stays unsaid, and without an answer."""
        self.log.close()
        for task in self._tasks:
            task.cancel()

    def ask(self) -> None:
        """Takes part in the next round, to decide what waits or to read what is missing."""
        if not self._asked:
            self._asked = True
            self._around.rounds.ask(self)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # In a round (`rounds.Party`)

    @property
    def traces(self) -> Sequence[Trace]:
        decided = self._batch.decided if self._batch is not None else ()
        return [entry.trace for entry, _ in decided if entry.trace is not None]

    def decide(self) -> ports.Batch | None:
        batch = self._batch
        try:
            if batch is None:
                batch = self._batch = self._take()
                if self._unready(batch):
                    self._spawn(self._prepare(batch))
                    return None
            return self._decide_all(batch)
        except Exception as error:
            self._failed(error)
            self._rest()
            return None

    def settle(self, outcome: ports.Appended | Exception) -> Written:
        try:
            return self._settle(outcome) if isinstance(outcome, ports.Appended) else self._failed(outcome)
        except Exception as error:
            return self._failed(error)

    def follow(self, written: Written) -> None:
        self.tell(written)
        self._rest()

    # What the log holds beyond this room (`keeping_up.Hosted`)

    def reset(self) -> None:
        """What the room has come to cannot be told event by event."""
        self._around.reset(self)

    def tell(self, written: Written) -> None:
        """The room has gone on: tells all others of it."""
        if not (written.events or written.effects):
            return
        try:
            self._around.committed(self, written)
        except Exception:
            # What is in the log stays there, and other rooms are yet to be told of.
            logger.exception("follow_failed", room=self.room.id)

    def _unready(self, batch: Deciding) -> bool:
        """Whether something is to be asked for before the batch can be decided."""
        if self.log.unread:
            return True
        room, now = self.room, self._around.clock()
        for entry in batch.entries:
            if entry.again or needs(room, entry.actor.user, entry.command, now) is not NOTHING:
                return True
        return False

    def _take(self) -> Deciding:
        inbox = self._inbox
        entries = [inbox.popleft() for _ in range(min(BATCH, len(inbox)))]
        for entry in entries:
            entry.kept = False
            if entry.trace is not None:
                entry.trace.step("decide")
        self.room.forget(self._around.clock())
        return Deciding(entries)

    def _rest(self) -> None:
        """The batch is done with, and told: what others have written after it comes only now."""
        self._batch = None
        self._asked = False
        self.log.go_on()
        if self._inbox or self.log.due:
            self.ask()

    def _failed(self, error: Exception) -> Written:
        """Answers those of the batch that have had no answer yet, and will have no other: an answered entry has given
        its `answer` away. What of it is in the log, only the log knows.
        """
        self.log.lost()
        if isinstance(error, ports.Unavailable):
            refusal = Rejected("unavailable", "Try again in a moment.", retry_after_ms=error.retry_after_ms)
        else:
            logger.error("batch_failed", room=self.room.id, exc_info=error)
            refusal = Rejected("internal", "Something went wrong here.")
        for entry in self._batch.entries if self._batch is not None else ():
            if not entry.kept:
                entry.done(refusal)
        return Written()

    # What has to be asked for first

    async def _prepare(self, batch: Deciding) -> None:
        """Looks up what the batch needs, then takes part in the next round."""
        try:
            await self.log.read()
            batch.entries = [e for e in batch.entries if not (e.again and await repeated(self._around.store, e))]
            batch.facts = await look_up(self._around.store, self.room, batch.entries, self._around.clock())
        except Exception as error:
            self._failed(error)
            self._rest()
        else:
            self._around.rounds.ask(self)

    # Deciding

    def _decide_all(self, batch: Deciding) -> ports.Batch | None:
        """In sequence, each on what those before it will have made of the room."""
        room, now = self.room, self._around.clock()
        ahead = batch.ahead = room.copy() if len(batch.entries) > 1 else room
        for entry in batch.entries:
            behind = self._parked.get(entry.lane) if self._parked else None
            # What is decided again came before all that was parked since.
            if behind is not None and not entry.again:
                entry.kept = True
                entry.waits()
                behind.append(entry)
                continue
            moment = Moment(
                now=now,
                fresh=self._around.fresh(),
                facts=NO_FACTS if batch.facts is None else batch.facts.get(entry, NO_FACTS),
                verdict=entry.verdict,
                limits=self._around.limits,
            )
            try:
                outcome = self._decide(ahead, entry, moment)
            except Rejected as refusal:
                batch.refused.append((entry, refusal))
                continue
            if isinstance(outcome, Decision):
                batch.decided.append((entry, outcome))
                if ahead is not room:
                    ahead.apply_all(outcome.events)
                    note_pace(ahead, outcome.effects)
            else:
                entry.kept = True
                self._parked.setdefault(entry.lane, deque())
                self._spawn(self._wait_for(entry, outcome))
        if not batch.decided:
            self._refuse(batch.refused)
            self._rest()
            return None
        proposals = [
            ports.Proposal(d.events, d.effects, entry.key, d.reply, d.pos, d.timed) for entry, d in batch.decided
        ]
        return ports.Batch(room.id, room.pos, room.rules_pos, now, tuple(proposals))

    def _decide(self, room: Room, entry: Entry, moment: Moment) -> Decision | Awaitable[Verdict]:
        """The decision, or the verdict to wait for. Raises Rejected."""
        outcome = decide(room, entry.actor, entry.command, moment)
        if not isinstance(outcome, Draft):
            return outcome
        verdict = self._around.policy.judge(outcome)
        if not isinstance(verdict, Verdict):
            return verdict
        entry.verdict = verdict
        return judged(room, entry.actor, entry.command, outcome, replace(moment, verdict=verdict))

    async def _wait_for(self, entry: Entry, verdict: Awaitable[Verdict]) -> None:
        """The lane waits for the verdict; other lanes go on."""
        try:
            entry.verdict = await verdict
        except Exception:
            logger.exception("policy_failed", room=self.room.id)
            entry.verdict = Verdict("hold", policy="", rule="policy_failed", reason="This could not be checked.")
        behind = self._parked.pop(entry.lane, ())
        self._inbox.extendleft(reversed([entry, *behind]))
        self.ask()

    # Once it is written

    def _settle(self, appended: ports.Appended) -> Written:
        batch = self._batch
        if batch is None:
            raise ValueError("nothing was handed to the store")
        if not self.room.pos and not any(isinstance(result, ports.Written) for result in appended.results):
            # A room was to be made where there is one: its log is none of this host's business.
            self._refuse([*((entry, unmet(None)) for entry, _ in batch.decided), *batch.refused])
            return Written()
        effects: list[tuple[Effect, int | None]] = []
        unwritten: Entry | None = None
        for (entry, decision), result in zip(batch.decided, appended.results, strict=True):
            if not isinstance(result, ports.Written):
                unwritten = unwritten or entry
            elif decision.effects:
                effects += [(effect, result.reply.get("pos")) for effect in decision.effects]
        self._go_on(batch.ahead if unwritten is None else None, appended.events, effects)
        again: list[Entry] = []
        traces: list[Trace] = []
        for (entry, decision), result in zip(batch.decided, appended.results, strict=True):
            match result:
                case ports.Written(reply):
                    entry.done(reply)
                    if entry.trace is not None and decision.events:
                        traces.append(entry.trace)
                case ports.Duplicate() | ports.KeyReused():
                    entry.done(repeat(result))
                case ports.Refused(effect):
                    if isinstance(effect, SpaceMessages):
                        self.room.forget_person(effect.user)
                    entry.done(unmet(effect))
                case ports.NotTried():
                    again.append(entry)
        if unwritten is None:
            self._refuse(batch.refused)
        else:
            # Whoever was refused after that was refused on what is not so.
            at = batch.entries.index
            again += [entry for entry, _ in batch.refused if at(entry) > at(unwritten)]
            if isinstance(appended.results[0], ports.NotTried) and not appended.events:
                self.log.lost()
            self._refuse([one for one in batch.refused if at(one[0]) < at(unwritten)])
            self._decide_again(sorted(again, key=at), stalled=unwritten in again)
        return Written(appended.events, effects, appended.others, traces)

    def _go_on(
        self, ahead: Room | None, events: Sequence[Logged], effects: Sequence[tuple[Effect, int | None]]
    ) -> None:
        """The room becomes what the log has made of it: mostly `ahead`, as was foreseen. Where all of the batch was
        written and the log goes as far as that, it holds nothing else.
        """
        room = self.room
        if ahead is not None and ahead is not room and ahead.pos == (events[-1].pos if events else room.pos):
            self.room = ahead
        else:
            room.apply_all(events)
            note_pace(room, [effect for effect, _ in effects])

    def _refuse(self, refused: Sequence[tuple[Entry, Rejected]]) -> None:
        """A command that has succeeded before gets its first reply again, whatever would refuse it now."""
        for entry, refusal in refused:
            if entry.key is None:
                entry.done(refusal)
            else:
                self._spawn(first_reply(self._around.store, entry, refusal))

    def _decide_again(self, entries: list[Entry], *, stalled: bool) -> None:
        """Before all that has come since. `stalled`: the first of them was not settled, as others were quicker."""
        for entry in entries:
            entry.tries += stalled
            entry.again = entry.kept = entry.tries < TRIES
            if entry.kept:
                entry.waits()
            else:
                entry.done(Rejected("unavailable", "This room is busy.", retry_after_ms=200))
        self._inbox.extendleft(reversed([entry for entry in entries if entry.kept]))
