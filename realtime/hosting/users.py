"""Users who are online, and what they are told outside of any room: unread counts, mentions, pending messages.

All of it is ephemeral and coalesced to one `user.changed` a second; the truth is in the store (`read.list`).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from msgspec import Struct

from realtime import ports
from realtime.hosting.gathering import Gathering
from realtime.hosting.online_user import OnlineUser, Read, Recipient
from rooms.events import MessageCreated, MessageDeleted, MessageEdited
from rooms.ids import Millis
from rooms.mentions import EVERYBODY

TOGETHER = 256
"""Members of a room of whom the store is asked at once."""
MENTIONS = 256
"""Of a room's latest mentions so many are at hand, to be counted on top of what the store has just said."""


class _Counted(Struct):
    """What is counted of a room: its messages, and who was mentioned by those above the `since`-th: by message, from
    whom, whom.
    """

    total: int
    since: int
    mentions: deque[tuple[int, str, tuple[str, ...]]]

    def note(self, n: int, author: str, users: tuple[str, ...]) -> None:
        if len(self.mentions) >= MENTIONS:
            self.since = self.mentions.popleft()[0]
        self.mentions.append((n, author, users))

    def after(self, n: int, user: str) -> int | None:
        """How often messages above the `n`-th mention the user; None where that is not at hand any more."""
        if n < self.since:
            return None
        return sum(
            number > n and author != user and (user in users or EVERYBODY in users)
            for number, author, users in self.mentions
        )


class Users:
    """The users online in this process."""

    def __init__(
        self,
        store: ports.Store,
        came: Callable[[str], None],
        left: Callable[[str], None],
        counted: Callable[[str, int], None],
    ):
        """`came` is called with a room the first of whose members is now online, `left` when the last is not; `counted`
        with a user whose number of connections has changed.
        """
        self._store = store
        self._counted_in = counted
        self._came = came
        self._left = left
        self._states = Gathering(self._read_states)
        self.ends = 0
        """How often users have logged out everywhere."""
        self.online: dict[str, OnlineUser] = {}
        self._members: dict[str, set[OnlineUser]] = {}
        self._counted: dict[str, _Counted] = {}
        self._touched: set[str] = set()
        self._unread: set[str] = set()
        """Users who are online and of whom nothing could be read when they came."""

    def connections(self, user: str) -> int:
        online = self.online.get(user)
        return len(online.recipients) if online else 0

    def name(self, user: str) -> str:
        """The name to show for a user who is online; else the id."""
        online = self.online.get(user)
        return online.name if online else user

    def read_pos(self, user: str, room: str) -> int:
        """How far an online member has read; 0 for others."""
        online = self.online.get(user)
        read = online.reads.get(room) if online else None
        return read.pos if read else 0

    async def connect(self, user: str, name: str, recipient: Recipient) -> None:
        """Counts a connection in; with a user's first one, reads the user's memberships. Raises Unavailable."""
        online = self.online.get(user)
        if online is None:
            online = self.online[user] = OnlineUser(user, name)
            self._add(online, recipient)
            moved = online.moved = set()
            try:
                states = await self._states.get(user) or []
            except BaseException:
                online.moved = None
                self.disconnect(user, recipient)
                if online.recipients:
                    self._unread.add(user)  # the others, who came meanwhile, are owed what was not read
                raise
            for state in states:
                if state.room not in moved:
                    self._follow(online, state)
            online.moved = None
        online.name = name
        self._add(online, recipient)

    def _add(self, online: OnlineUser, recipient: Recipient) -> None:
        before = len(online.recipients)
        online.add(recipient)
        if len(online.recipients) != before:
            self._counted_in(online.id, len(online.recipients))

    async def _read_states(self, users: Collection[str]) -> dict[str, list[ports.ReadState]]:
        states: dict[str, list[ports.ReadState]] = {}
        for state in await self._store.read_states(users):
            states.setdefault(state.user, []).append(state)
        return states

    def disconnect(self, user: str, recipient: Recipient) -> None:
        online = self.online.get(user)
        if online is None:
            return
        before = len(online.recipients)
        online.discard(recipient)
        if len(online.recipients) != before:
            self._counted_in(user, len(online.recipients))
        if not online.recipients:
            del self.online[user]
            for room in list(online.reads):
                self._unfollow(online, room)

    def _follow(self, online: OnlineUser, state: ports.ReadState) -> None:
        if self.online.get(online.id) is not online:
            return
        self._member(online, state.room)
        counted = self._counted.get(state.room)
        if counted is None:
            counted = self._counted[state.room] = _Counted(state.total, state.total, deque())
        counted.total = max(counted.total, state.total)
        # What has happened since the store was asked is not in its answer.
        known = online.reads.get(state.room)
        if known is not None and known.pos > state.pos:
            pos, n, mentions, more = known.pos, known.n, 0, counted.after(known.n, online.id)
        else:
            pos, n, mentions, more = state.pos, state.n, state.mentions, counted.after(state.total, online.id)
        stale = more is None
        online.reads[state.room] = Read(pos, n, mentions + (more or 0), stale, state.total)
        if stale:
            online.touch(state.room)

    def _unfollow(self, online: OnlineUser, room: str) -> None:
        online.forget(room)
        members = self._members.get(room)
        if members is not None:
            members.discard(online)
            if not members:
                del self._members[room]
                self._counted.pop(room, None)
                self._left(room)

    # What happens in rooms

    def joined(self, room: str, user: str) -> None:
        """The user has become a member: their connections learn of it within a second."""
        online = self.online.get(user)
        if online is not None:
            online.note(room)
            online.reads[room] = Read(0, 0, 0, stale=True)
            online.touch(room)
            self._member(online, room)

    def _member(self, online: OnlineUser, room: str) -> None:
        members = self._members.get(room)
        if members is None:
            members = self._members[room] = set()
            self._came(room)
        members.add(online)

    def parted(self, room: str, user: str) -> None:
        online = self.online.get(user)
        if online is not None:
            online.note(room)
            self._unfollow(online, room)

    def message(self, event: MessageCreated) -> None:
        """A new message: members' unread counts rise, and the mentioned are to be told."""
        body = event.message
        members = self._members.get(event.room)
        if body is None or not members:
            return
        counted = self._counted.get(event.room)
        if counted is None:
            counted = self._counted[event.room] = _Counted(body.n, body.n, deque())
        counted.total = max(counted.total, body.n)
        author = self.online.get(event.by.id)
        if author is not None and (read := author.reads.get(event.room)) is not None and read.pos < event.pos:
            read.pos, read.n, read.mentions = event.pos, body.n, 0
        if body.mentions:
            counted.note(body.n, event.by.id, body.mentions)
            self._mentioned(event, body.mentions, members)
        self._touched.add(event.room)

    def _mentioned(self, event: MessageCreated, mentions: Iterable[str], members: set[OnlineUser]) -> None:
        meant = members if EVERYBODY in mentions else {self.online[user] for user in mentions if user in self.online}
        for online in meant:
            read = online.reads.get(event.room)
            if read is not None and online.id != event.by.id:
                if event.message is not None and event.message.n > read.seen:
                    read.mentions += 1
                online.touch(event.room)
                online.mentioned = (online.mentioned or {}) | {event.room: event.pos}

    def rewritten(self, event: MessageEdited | MessageDeleted) -> None:
        """A text changed or went: whom it mentioned may have one mention less, whom it mentions now one more."""
        body = event.message if isinstance(event, MessageEdited) else None
        mentions = body.mentions if body is not None else ()
        for online in self._members.get(event.room, ()):
            read = online.reads.get(event.room)
            if read is not None and (read.mentions or online.id in mentions or EVERYBODY in mentions):
                read.stale = True
                online.touch(event.room)

    def stale(self, user: str, room: str) -> None:
        """Of what the user has read in the room only the store knows."""
        online = self.online.get(user)
        read = online.reads.get(room) if online is not None else None
        if online is not None and read is not None:
            read.stale = True
            online.touch(room)

    def all_stale(self, room: str) -> None:
        """Something of the room was missed: of its members' counts only the store knows."""
        for online in self._members.get(room, ()):
            self.stale(online.id, room)

    def tell(self, user: str, event: dict[str, Any]) -> None:
        """To all connections of a user here."""
        online = self.online.get(user)
        if online is not None:
            for recipient in online.recipients:
                recipient.tell(event)

    def end(self, user: str) -> None:
        """Ends all connections of a user who has logged out everywhere."""
        self.ends += 1
        online = self.online.get(user)
        for recipient in online.recipients if online else ():
            recipient.logged_out()

    def end_older(self, user: str, valid_after: Millis) -> None:
        """Ends the user's connections that came with tokens from before they last logged out everywhere."""
        online = self.online.get(user)
        for recipient in online.recipients if online else ():
            if recipient.issued_ms is not None and recipient.issued_ms < valid_after:
                recipient.logged_out()

    async def reread(self, users: Collection[str]) -> None:
        """Something may have been missed: what the users have read, and where they are members, is as the store says.
        They are told of what is new to them. Raises Unavailable.
        """
        asked = [online for user in users if (online := self.online.get(user)) is not None and online.moved is None]
        for online in asked:
            online.moved = set()
        try:
            states = await self._read_states([online.id for online in asked])
            for online in asked:
                self._reread_all(online, states.get(online.id, ()))
        finally:
            for online in asked:
                online.moved = None

    def _reread_all(self, online: OnlineUser, states: Iterable[ports.ReadState]) -> None:
        moved = online.moved or set()
        there = {state.room: state for state in states if state.room not in moved}
        for room in online.reads.keys() - there.keys() - moved:
            self._unfollow(online, room)
        for room, state in there.items():
            before = self._row(room, online.reads[room]) if room in online.reads else None
            self._follow(online, state)
            read = online.reads.get(room)
            if read is not None and self._row(room, read) != before:
                online.touch(room)

    async def marked(self, user: str, room: str) -> list[dict[str, Any]]:
        """After a read mark: all of the user's read states as the store has them. The room's is told to all of their
        connections.
        """
        states = await self._store.read_states([user])
        online = self.online.get(user)
        for state in states:
            if online is not None and state.room == room and room in online.reads:
                self._follow(online, state)
                online.touch(room)
        return [shown(state) for state in states]

    # Once a second

    async def announce(self) -> None:
        """Tells every user of mentions and, in one `user.changed`, of counts that have changed. Raises Unavailable."""
        touched, self._touched = self._touched, set()
        for room in touched:
            for online in self._members.get(room, ()):
                online.touch(room)
        changed = [online for online in self.online.values() if online.changed]
        unavailable = await self._read_stale(changed)
        for online in changed:
            rooms, online.changed = online.changed or set(), None
            mentioned, online.mentioned = online.mentioned, None
            for room, pos in (mentioned or {}).items():
                self.tell(online.id, {"type": "mention", "room": room, "pos": pos})
            rows = []
            for room in rooms:
                read = online.reads.get(room)
                if read is not None and read.stale:
                    online.touch(room)  # next time
                elif read is not None:
                    rows.append(self._row(room, read))
            if rows:
                self.tell(online.id, {"type": "user.changed", "rooms": rows})
        if unavailable is not None:
            raise unavailable

    async def _read_stale(self, changed: Iterable[OnlineUser]) -> ports.Unavailable | None:
        """Reads what only the store knows of those who are to be told: of each room's members many at a time. Returns
        why that could not be done.
        """
        stale: dict[str, list[OnlineUser]] = {}
        for online in changed:
            for room in online.changed or ():
                if (read := online.reads.get(room)) is not None and read.stale:
                    stale.setdefault(room, []).append(online)
        try:
            if self._unread:
                unread = self._unread.copy()
                await self.reread(unread)
                self._unread -= unread
            for room, members in stale.items():
                for at in range(0, len(members), TOGETHER):
                    await self._reread(room, members[at : at + TOGETHER])
        except ports.Unavailable as error:
            return error
        return None

    async def _reread(self, room: str, members: Sequence[OnlineUser]) -> None:
        before = {online.id: online.reads.get(room) for online in members}
        for read in before.values():
            if read is not None:
                read.stale = False
        try:
            states = {state.user: state for state in await self._store.read_states(before.keys(), room)}
        except BaseException:
            for read in before.values():
                if read is not None:
                    read.stale = True
            raise
        for online in members:
            read, state = online.reads.get(room), states.get(online.id)
            if state is not None and read is not None:
                again = read.stale  # again, meanwhile
                self._follow(online, state)
                online.reads[room].stale = online.reads[room].stale or again
            elif state is None and read is before[online.id]:
                self._unfollow(online, room)

    def _row(self, room: str, read: Read) -> dict[str, Any]:
        counted = self._counted.get(room)
        unread = max(0, counted.total - read.n) if counted is not None else 0
        return {"room": room, "unread": unread, "mentions": read.mentions, "read_pos": read.pos}


def shown(state: ports.ReadState) -> dict[str, Any]:
    """A read state as `read.list` and `user.changed` show it."""
    unread = max(0, state.total - state.n)
    return {"room": state.room, "unread": unread, "mentions": state.mentions, "read_pos": state.pos}
