"""A room's messages, with all that hangs on them: as the log has them. A message's later events are kept for as long as
the message is, so this holds for pruned logs too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, func, select

from realtime.stores import rows
from realtime.stores.schema import events, mentions, messages, originals, pins, reactions
from rooms import events as e
from rooms.actors import By
from rooms.ids import MAX_SAFE_INTEGER
from rooms.room import Message, Room

PAGE = 500

Tell = Callable[[int | None, str], None]
Misindexed = Callable[[Connection, int, list[tuple[int, str]]], list[int]]

_COLUMNS = tuple(messages.c[name] for name in ("pos", "n", "at", "author", "text", "mentions", "reply_to", "edited_at"))


def verify_messages(
    connection: Connection, alive: Callable[[], None], row: Any, told: Tell, misindexed: Misindexed
) -> int:
    """Returns how many messages there are."""
    query = rows.HYDRATED.where(events.c.room == row.num, events.c.target.is_not(None))
    query = query.order_by(events.c.target, events.c.pos).execution_options(stream_results=True, yield_per=PAGE)
    with connection.execute(query) as found:
        return _verify(connection, alive, row, _Changes(found, row), told, misindexed)


def _verify(
    connection: Connection, alive: Callable[[], None], row: Any, changes: "_Changes", told: Tell, misindexed: Misindexed
) -> int:
    after, n, count, mentioned = 0, 0 if row.first_pos == 1 else None, 0, 0
    while True:
        alive()
        query = select(*_COLUMNS).where(messages.c.room == row.num, messages.c.pos > after)
        page = connection.execute(query.order_by(messages.c.pos).limit(PAGE)).all()
        to = page[-1].pos if len(page) == PAGE else MAX_SAFE_INTEGER
        hanging = _Hanging(connection, row.num, after, to)
        for message in page:
            if n is not None and message.n != n + 1:
                told(message.pos, f"message number {message.n} comes after number {n}")
            n = message.n
            _compare(message, changes.of(message.pos, told), hanging, row, told)
        hanging.orphans({message.pos for message in page}, told)
        mentioned += _mentions(connection, row.num, page, told)
        for pos in misindexed(connection, row.num, [(one.pos, one.text) for one in page if one.text is not None]):
            told(pos, "the search index does not hold the message's words")
        count += len(page)
        if len(page) < PAGE:
            break
        after = to
    changes.of(MAX_SAFE_INTEGER, told)
    if n is not None and n != row.n:
        told(None, f"the last message is number {n}, the room says {row.n}")
    stored = connection.execute(select(func.count()).where(mentions.c.room == row.num)).scalar_one()
    if stored != mentioned:
        told(None, f"{stored} mentions, of which messages have {mentioned}")
    return count


class _Changes:
    """Events that change messages, by message and position; read along with the messages, in one go."""

    def __init__(self, found: Iterable[Any], row: Any):
        self._events: Iterator[Any] = (rows.event(row.id, one) for one in found)
        self._next = next(self._events, None)
        self._first_pos = row.first_pos

    def of(self, pos: int, told: Tell) -> list[Any]:
        """Those of the message at the position. Those of the positions before it are no message's."""
        found: list[Any] = []
        while self._next is not None and self._next.target <= pos:
            if self._next.target == pos:
                found.append(self._next)
            elif self._next.target >= self._first_pos:
                told(self._next.pos, f"changes the message at {self._next.target}, which is not there")
            self._next = next(self._events, None)
        return found


class _Hanging:
    """What hangs on the messages after a position, up to another."""

    def __init__(self, connection: Connection, num: int, after: int, to: int):
        def read(*columns: Column[Any]) -> Any:
            target = columns[0].table.c.target
            here = select(*columns).where(columns[0].table.c.room == num, target > after, target <= to)
            return connection.execute(here)

        self.originals: dict[int, set[int]] = defaultdict(set)
        self.reactions: dict[int, dict[str, set[str]]] = defaultdict(dict)
        self.pins: dict[int, int] = {pin.target: pin.until for pin in read(pins.c.target, pins.c.until)}
        for target, edit in read(originals.c.target, originals.c.edit):
            self.originals[target].add(edit)
        for target, emoji, user in read(reactions.c.target, reactions.c.emoji, reactions.c.user):
            self.reactions[target].setdefault(emoji, set()).add(user)

    def orphans(self, there: set[int], told: Tell) -> None:
        for what, by_target in (("earlier texts", self.originals), ("reactions", self.reactions), ("a pin", self.pins)):
            for target in sorted(by_target.keys() - there):
                told(target, f"{what} of a message that is not there")


def _compare(message: Any, changes: list[Any], hanging: _Hanging, row: Any, told: Tell) -> None:
    """The message against what the log makes of it."""
    pos = message.pos
    folded = Room(row.id)
    folded.know_message(pos, Message(pos=pos, at=message.at, by=By("", "", ""), n=message.n, text=""))
    edits = set()
    for change in changes:
        if isinstance(change, e.MessageEdited) and _known(folded, pos).text is not None:
            edits.add(change.pos)
        folded.apply(change)
    by_log = _known(folded, pos)
    if (message.text is None) != (by_log.text is None):
        told(pos, "the message is deleted, by the log it is not" if message.text is None else "the log deletes it")
        return
    if message.edited_at != by_log.edited_at:
        told(pos, f"edited_at: {message.edited_at!r}, by the log {by_log.edited_at!r}")
    if hanging.originals.get(pos, set()) != (edits if by_log.text is not None else set()):
        told(pos, f"{len(hanging.originals.get(pos, ()))} earlier texts, by the log {len(edits)}")
    if hanging.pins.get(pos) != folded.pins.get(pos):
        told(pos, f"pinned until {hanging.pins.get(pos)!r}, by the log {folded.pins.get(pos)!r}")
    reacted = hanging.reactions.get(pos, {})
    if row.kind == "group" and reacted != {emoji: set(users) for emoji, users in by_log.reactions}:
        told(pos, "the reactions are not those of the log")
    if row.kind != "group" and message.text is None and reacted:
        told(pos, "reactions to a deleted message")


def _known(room: Room, pos: int) -> Message:
    message = room.messages[pos]
    if message is None:
        raise ValueError(f"no message at {pos}")
    return message


def _mentions(connection: Connection, num: int, page: Any, told: Tell) -> int:
    """Whether each mention of the messages can be looked up. Returns how many there are."""
    wanted = {(user, one.pos) for one in page for user in rows.ids(one.mentions) if user != one.author}
    if not wanted:
        return 0
    query = select(mentions.c.user, mentions.c.pos).where(
        mentions.c.room == num,
        mentions.c.user.in_({user for user, _ in wanted}),
        mentions.c.pos >= page[0].pos,
        mentions.c.pos <= page[-1].pos,
    )
    found = {(row.user, row.pos) for row in connection.execute(query)}
    for user, pos in sorted(wanted - found):
        told(pos, f"the mention of {user!r} is not noted")
    return len(wanted)
