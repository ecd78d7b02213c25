"""One transaction of the writer: appends to rooms, their projections, keys and interaction records.

Created messages are gathered and written together, across proposals and rooms; whatever reads or changes them
otherwise calls `flush` first.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from realtime.ports import (
    Appended,
    Batch,
    Duplicate,
    KeyClaim,
    KeyReused,
    NotTried,
    Proposal,
    Refused,
    Result,
    Written,
)
from realtime.stores import effects, projections, reads, rows
from realtime.stores.claims import Claims
from realtime.stores.head import Head
from realtime.stores.statements import Statements
from rooms import events as e
from rooms.actors import By
from rooms.records import Record, of_event

RECORDS_TOGETHER = 256
"""Most interaction records in one row of the outbox, which is read as a whole."""

_encode = msgspec.json.Encoder().encode


class Transaction:
    """Runs within a transaction that its owner has begun and will commit or roll back.

    `known` holds users whose names are certainly stored; `new_users` adds those that this transaction stores. `erased`
    tells that texts were taken out, of which the database's files may still hold copies. `records` go into the outbox
    at the end.
    """

    def __init__(self, core: Connection, sql: Statements, known: Collection[str]):
        self.core = core
        self.sql = sql
        self.raw: Any = core.connection.driver_connection
        self.known = known
        self.new_users: dict[str, tuple[str, str, str, str | None]] = {}
        self.erased = False
        self.records: list[Record] = []
        self.claims = Claims(sql)
        self._heads: dict[str, Head | None] = {}
        self._changed: dict[int, Head] = {}
        self._users: list[tuple[str, str, str, str | None]] = []
        self._events: list[tuple[Any, ...]] = []
        self._messages: list[tuple[Any, ...]] = []
        self._writers: dict[tuple[int, str], tuple[Any, ...]] = {}
        self._mentions: list[tuple[int, str, int]] = []
        self._marks: dict[tuple[int, str], int] = {}

    def head(self, room: str) -> Head | None:
        if room not in self._heads:
            self.look_up([room])
        return self._heads[room]

    def look_up(self, rooms: Iterable[str]) -> None:
        wanted = [room for room in dict.fromkeys(rooms) if room not in self._heads]
        if wanted:
            self._heads.update(dict.fromkeys(wanted))
            for room, *row in self.sql.rooms(wanted):
                self._heads[room] = Head(*row)

    def created(self, room: str, head: Head) -> None:
        self._heads[room] = head

    def flush(self) -> None:
        """Writes all that was gathered, and that something in this transaction may read."""
        self.claims.flush()
        if self._changed:
            self.sql.save_rooms([head.saved() for head in self._changed.values()])
            self._changed.clear()
        for add, gathered in (
            (self.sql.add_users, self._users),
            (self.sql.add_events, self._events),
            (self.sql.add_messages, self._messages),
            (self.sql.add_mentions, self._mentions),
        ):
            if gathered:
                add(gathered)
                gathered.clear()
        if self._writers:
            self.sql.add_writers(list(self._writers.values()))
            self._writers.clear()

    def index(self) -> None:
        """Puts all messages that wait for it into the full-text index, of this transaction and of those before it."""
        self.flush()
        self.sql.index()

    def mark_read(self, user: str, room: str, pos: int) -> None:
        """See `realtime.ports.Store.mark_read`; done at the end, once a member and room."""
        head = self.head(room)
        if head is not None:
            self._marks[head.num, user] = max(min(pos, head.pos), self._marks.get((head.num, user), 0))

    def finish(self) -> None:
        """To be called before the commit."""
        self.flush()
        if self._marks:
            self.sql.mark_read([(num, user, pos) for (num, user), pos in self._marks.items()])
        self.sql.finish()
        if self.records:
            together = range(0, len(self.records), RECORDS_TOGETHER)
            self.sql.add_records([_encode(self.records[at : at + RECORDS_TOGETHER]).decode() for at in together])

    # Batches

    def append(self, batches: Sequence[Batch]) -> list[Appended]:
        """See `realtime.ports.Store.append`. What all of them need to know is looked up together."""
        self.look_up(batch.room for batch in batches)
        self.claims.expect(p.key for batch in batches for p in batch.proposals if p.key is not None)
        return [self._append(batch) for batch in batches]

    def _append(self, batch: Batch) -> Appended:
        head = self.head(batch.room)
        start = head.pos if head else 0
        results: list[Result] = []
        own: list[e.Logged] = []
        if head is not None and start > batch.base and reads.first_position(self.core, head.num) > batch.base + 1:
            return Appended((), (NotTried(),) * len(batch.proposals))
        decided_in_vain = head is not None and head.rules_pos > max(batch.rules_pos, batch.base)
        if not decided_in_vain and start >= batch.base:
            for proposal in batch.proposals:
                result = self._propose(batch, proposal, own, moved=start != batch.base)
                results.append(result)
                if type(result) is not Written:
                    break
        results += [NotTried()] * (len(batch.proposals) - len(results))
        head = self.head(batch.room)
        if head is None or start == batch.base:
            return Appended(tuple(own), tuple(results))
        self.flush()
        since = rows.read_events(self.core, batch.room, head.num, batch.base, head.pos, None)
        return Appended(tuple(since), tuple(results), len(since) - len(own))

    def _propose(self, batch: Batch, proposal: Proposal, own: list[e.Logged], *, moved: bool) -> Result:
        head, events = self.head(batch.room), proposal.events
        creates = bool(events) and type(events[0]) is e.RoomCreated
        if head is None and not creates:
            return NotTried()
        if head is not None and creates:
            return (self._claimed(proposal.key) if proposal.key else None) or Refused(None)
        if moved and any(_points_beyond(event, batch.base) for event in events):
            return NotTried()
        pos = head.pos if head else 0
        reply = dict(proposal.reply)
        if proposal.pos:
            reply["pos"] = pos + 1 if events else pos
        if proposal.timed:
            reply["at"] = events[0].at if events else batch.at
        if head is not None and proposal.effects:
            refusal = self._conditional(batch, proposal, head, reply)
        else:
            refusal = self._claim(batch, proposal.key, reply, gather=True)
        if refusal is not None:
            return refusal
        for event in events:
            own.append(self._log(batch.room, event))
        return Written(reply)

    def _conditional(self, batch: Batch, proposal: Proposal, head: Head, reply: dict[str, Any]) -> Result | None:
        """Claims the key and takes the effects, or neither. Returns what refuses."""
        self.flush()
        recorded = len(self.records)
        self.raw.execute("SAVEPOINT proposal")
        refusal: Result | None = self._claim(batch, proposal.key, reply, gather=False)
        if refusal is None:
            refusal = next((Refused(x) for x in proposal.effects if not effects.take(self, head, x)), None)
        if refusal is not None:
            self.raw.execute("ROLLBACK TO proposal")
            del self.records[recorded:]
        self.raw.execute("RELEASE proposal")
        return refusal

    # Keys

    def _claim(
        self, batch: Batch, key: KeyClaim | None, reply: dict[str, Any], *, gather: bool
    ) -> Duplicate | KeyReused | None:
        """Claims the key for this reply. Returns who was first."""
        if key is None or self.claims.take(key, _encode(reply).decode(), batch.at, gather=gather):
            return None
        return self._claimed(key)

    def _claimed(self, key: KeyClaim) -> Duplicate | KeyReused | None:
        self.claims.flush()
        return reads.duplicate(self.core, key)

    # Events

    def _log(self, room: str, event: e.Logged) -> e.Logged:
        """Gives the event its position and writes it. Returns it as it now stands in the log."""
        head = self.head(room)
        pos = head.pos + 1 if head else 1
        if event.pos != pos:
            event = replace(event, pos=pos)
        if isinstance(event, e.MessageCreated) and head is not None:
            return self._message(head, event)
        self.flush()
        head, author = projections.apply(self, room, head, event)
        head.pos = pos
        head.last_at = event.at
        if event.restricting:
            head.rules_pos = pos
        self._changed[head.num] = head
        target = getattr(event, "target", None)
        subject = getattr(event, "user", None)
        by = event.by
        self._events.append(
            (head.num, pos, rows.TAGS[type(event)], event.at, by.id, by.role, target, subject, rows.payload(event))
        )
        self._user(by)
        self.records += of_event(event, author)
        return event

    def _user(self, by: By) -> None:
        if by.id not in self.known and by.id not in self.new_users:
            self.new_users[by.id] = (by.id, by.name, by.name.casefold(), by.avatar)
            self._users.append(self.new_users[by.id])

    def _message(self, head: Head, event: e.MessageCreated) -> e.MessageCreated:
        body = event.message
        if body is None:
            raise ValueError("a created message has a text")
        pos = head.pos = event.pos
        n = head.n = head.n + 1
        if body.n != n:
            body = replace(body, n=n)
            event = replace(event, message=body)
        num, user, at = head.num, event.by.id, event.at
        head.last_at = at
        self._changed[num] = head
        self._user(event.by)
        mentioned = reply_to = None
        if body.mentions:
            mentioned = rows.ids_json(body.mentions)
            self._mentions += [(num, who, pos) for who in body.mentions if who != user]
        if body.reply_to is not None:
            reply_to = body.reply_to.pos
        self._messages.append((num, pos, n, at, user, event.by.role, body.text, mentioned, reply_to))
        self._writers[num, user] = (num, user, at, pos, n)
        self.records += of_event(event, None)
        return event


def _points_beyond(event: e.Logged, base: int) -> bool:
    """Whether the event names a position that was given provisionally, and since to something else."""
    target = getattr(event, "target", 0)
    if isinstance(event, e.MessageEvent) and event.message is not None and event.message.reply_to is not None:
        target = max(target, event.message.reply_to.pos)
    return bool(target > base)
