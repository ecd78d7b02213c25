"""The state of one room, and the one place that changes it."""

from collections.abc import Iterable
from itertools import islice
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from rooms import events as e
from rooms.actors import BY_WIRE, Actor, By, Role, Viewer
from rooms.ids import MAX_SAFE_INTEGER, Kind, Millis, Visibility
from rooms.live import Live
from rooms.settings import Settings

FOREVER: Millis = MAX_SAFE_INTEGER
"""The end of a sanction that has none."""

KNOWN_PEOPLE = 4_096
KNOWN_MESSAGES = 512
"""How much of the store a room keeps at hand between two batches; the rest is looked up again when needed."""
KNOWN_MS = 300_000
RECENT_MESSAGES = 20
"""Messages from longer ago are at hand only among the latest few: nearly all that is answered, reacted to or edited is
fresher, and what quiet rooms hold does not grow for days.
"""


class Person(Struct, frozen=True, gc=False, kw_only=True):
    """What a room holds of one user, member or not. Times are 0 where there is none."""

    user: str
    name: str
    avatar: str | None = None
    role: Role = Role.NONE
    joined_pos: int = 0
    last_at: Millis = 0
    muted_until: Millis = 0
    banned_until: Millis = 0

    @property
    def member(self) -> bool:
        return self.role >= Role.MEMBER


class Message(Struct, frozen=True, gc=False, kw_only=True):
    """A message as it reads now; `text` is None once deleted. `reactions` are (emoji, users) in order of appearance."""

    pos: int
    at: Millis
    by: By
    n: int
    text: str | None
    mentions: tuple[str, ...] = ()
    reply_to: int | None = None
    edited_at: Millis | None = None
    reactions: tuple[tuple[str, frozenset[str]], ...] = ()


class Room:
    """One room as of `pos`: `apply` folds the log into it, event by event.

    `people` and `messages` hold what is *known*: recent or looked up ones (None: looked up, and not there). They are
    all there is while `whole`, as in a room folded from its first event. All else is complete. `staff` are the owners
    and moderators.
    """

    __slots__ = (
        "closed",
        "id",
        "kind",
        "live",
        "members",
        "messages",
        "n",
        "people",
        "pins",
        "pos",
        "rules_pos",
        "settings",
        "since",
        "staff",
        "title",
        "visibility",
        "whole",
    )

    def __init__(self, room_id: str):
        self.id = room_id
        self.whole = True
        self.pos = 0
        self.rules_pos = 0
        self.n = 0
        self.kind: Kind = "group"
        self.title = ""
        self.visibility: Visibility = "private"
        self.settings = Settings()
        self.closed = False
        self.live: Live | None = None
        self.since: Millis = 0
        self.members = 0
        self.staff: dict[str, Role] = {}
        self.pins: dict[int, Millis] = {}
        self.people: dict[str, Person | None] = {}
        self.messages: dict[int, Message | None] = {}

    def copy(self) -> "Room":
        """A room of its own, to decide a batch on before it is written."""
        other = Room.__new__(Room)
        for name in Room.__slots__:
            value = getattr(self, name)
            setattr(other, name, value.copy() if isinstance(value, dict) else value)
        return other

    # What the store knows

    def know_person(self, user: str, person: Person | None) -> None:
        self.people[user] = person

    def know_message(self, pos: int, message: Message | None) -> None:
        self.messages[pos] = message

    def forget(self, now: Millis) -> None:
        """Drops the oldest of what is only at hand, down to KNOWN_PEOPLE and KNOWN_MESSAGES; and messages from before
        the last KNOWN_MS, down to RECENT_MESSAGES.
        """
        people, messages = len(self.people) - KNOWN_PEOPLE, self._old_messages(now - KNOWN_MS)
        if people > 0:
            self.whole = False
            for user in list(islice(self.people, people)):
                del self.people[user]
        if messages > 0:
            self.whole = False
            for pos in list(islice(self.messages, messages)):
                del self.messages[pos]

    def _old_messages(self, since: Millis) -> int:
        """How many of the messages are to be dropped, from the first that came to be known on."""
        old = max(0, len(self.messages) - KNOWN_MESSAGES)
        most = len(self.messages) - RECENT_MESSAGES
        for message in islice(self.messages.values(), old, None):
            if old >= most or (message is not None and message.at >= since):
                break
            old += 1
        return old

    def prune(self, first_pos: int) -> None:
        """Drops messages below a position and their pins: the log begins there now."""
        for known in (self.messages, self.pins):
            for pos in [pos for pos in known if pos < first_pos]:
                del known[pos]

    def forget_person(self, user: str) -> None:
        """What was known of them is not so any more: look them up again."""
        self.whole = False
        self.people.pop(user, None)

    def knows_person(self, user: str) -> bool:
        return self.whole or user in self.people

    def knows_message(self, pos: int) -> bool:
        return self.whole or pos in self.messages

    # Questions

    def info(self) -> e.RoomInfo:
        return e.RoomInfo(self.id, self.kind, self.title, self.visibility, self.settings)

    def person(self, user: str) -> Person | None:
        return self.people.get(user)

    def role(self, actor: Actor) -> Role:
        """The actor's rank here: the highest of membership, what the token grants, and platform admin."""
        if actor.admin:
            return Role.ADMIN
        person = self.people.get(actor.user)
        role = person.role if person else self.staff.get(actor.user, Role.NONE)
        return max(role, actor.grant(self.id)) if actor.granted else role

    def by(self, actor: Actor) -> By:
        return By(actor.user, actor.name, self.role(actor).wire, actor.avatar)

    def banned(self, user: str, now: Millis) -> bool:
        person = self.people.get(user)
        return person is not None and person.banned_until > now

    def muted(self, user: str, now: Millis) -> bool:
        person = self.people.get(user)
        return person is not None and person.muted_until > now

    def admits(self, actor: Actor, now: Millis) -> bool:
        """Whether the actor may know of this room at all."""
        if actor.admin:
            return True
        if self.visibility == "public":
            return True
        return self.role(actor) >= Role.MEMBER and not self.banned(actor.user, now)

    def viewer(self, actor: Actor) -> Viewer:
        """How this actor sees the log. Where history starts with joining, who never joined has none of it."""
        role = self.role(actor)
        first = 1
        if self.settings.history == "from_join" and role < Role.MODERATOR:
            person = self.people.get(actor.user)
            first = person.joined_pos if person and person.member and person.joined_pos else self.pos + 1
        return Viewer(actor.user, role, first)

    # The one mutation

    def apply(self, event: e.Logged) -> None:
        """Folds one event into the state. Total: whatever the log holds, this does not fail."""
        self.pos = event.pos
        if event.restricting:
            self.rules_pos = event.pos
        match event:
            case e.MessageCreated():  # first, as most are
                self._message(event)
            case e.RoomCreated():
                self._created(event)
            case e.RoomUpdated():
                if event.changes.title is not None:
                    self.title = event.changes.title
                if event.changes.settings is not None:
                    self.settings = event.changes.settings.on(self.settings)
            case e.RoomClosed():
                self.closed = True
            case e.MemberJoined():
                self._rank(event, Role.MEMBER)
            case e.MemberLeft() | e.MemberKicked():
                self._rank(event, Role.NONE)
            case e.MemberRoleChanged():
                self._rank(event, BY_WIRE.get(event.role, Role.MEMBER))
            case e.MemberMuted():
                self._sanction(event, muted_until=event.until or FOREVER)
            case e.MemberUnmuted():
                self._sanction(event, muted_until=0)
            case e.MemberBanned():
                self._rank(event, Role.NONE)
                self._sanction(event, banned_until=event.until or FOREVER)
            case e.MemberUnbanned():
                self._sanction(event, banned_until=0)
            case e.MessageEdited():
                if event.message is not None:
                    self._change(
                        event.target,
                        text=event.message.text,
                        mentions=event.message.mentions,
                        edited_at=event.at,
                    )
            case e.MessageDeleted():
                self._change(event.target, text=None, mentions=(), reactions=(), edited_at=None)
                self.pins.pop(event.target, None)
            case e.MessageReacted():
                self._react(event.target, event.emoji, event.by.id, on=True)
            case e.MessageUnreacted():
                self._react(event.target, event.emoji, event.by.id, on=False)
            case e.MessagePinned():
                self.pins[event.target] = event.until or FOREVER
            case e.MessageUnpinned():
                self.pins.pop(event.target, None)
            case e.LiveStarted() | e.LiveUpdated() | e.LiveInterrupted() | e.LiveResumed() | e.LiveStopped():
                self.live = follow_live(self.live, event)
            case _:
                assert_never(event)

    def apply_all(self, events: Iterable[e.Logged]) -> None:
        for event in events:
            self.apply(event)

    def _created(self, event: e.RoomCreated) -> None:
        info = event.room_info
        self.kind, self.title, self.visibility, self.settings = info.kind, info.title, info.visibility, info.settings
        self.since = event.at
        self.members = 1
        self.staff = {event.by.id: Role.OWNER}
        self.people[event.by.id] = Person(
            user=event.by.id, name=event.by.name, avatar=event.by.avatar, role=Role.OWNER, joined_pos=event.pos
        )

    def _person(self, user: str, name: str) -> Person | None:
        """The person to change: a new one where it is known that there is none, None where nothing is known."""
        if not self.knows_person(user):
            return None
        return self.people.get(user) or Person(user=user, name=name)

    def _rank(self, event: e.UserEvent, role: Role) -> None:
        """Gives the user a role. What one who is not known was before, the event itself says."""
        person = self._person(event.user, event.name)
        member = role >= Role.MEMBER
        was_member = person.member if person else _was_member(event)
        self.members += member - was_member
        if role >= Role.MODERATOR:
            self.staff[event.user] = role
        else:
            self.staff.pop(event.user, None)
        if person is not None:
            joined_pos = (person.joined_pos if was_member else event.pos) if member else 0
            self.people[event.user] = replace(person, name=event.name, role=role, joined_pos=joined_pos)

    def _sanction(self, event: e.UserEvent, **until: Millis) -> None:
        person = self._person(event.user, event.name)
        if person is not None:
            self.people[event.user] = replace(person, **until)

    def _message(self, event: e.MessageCreated) -> None:
        body = event.message
        self.n += 1
        person = self._person(event.by.id, event.by.name)
        if person is not None:
            self.people[event.by.id] = replace(person, last_at=event.at)
        self.messages[event.pos] = Message(
            pos=event.pos,
            at=event.at,
            by=event.by,
            n=self.n,
            text=body.text if body else None,
            mentions=body.mentions if body else (),
            reply_to=body.reply_to.pos if body and body.reply_to else None,
        )

    def _change(self, target: int, **fields: object) -> None:
        message = self.messages.get(target)
        if message is not None and message.text is not None:
            self.messages[target] = replace(message, **fields)

    def _react(self, target: int, emoji: str, user: str, *, on: bool) -> None:
        message = self.messages.get(target)
        if message is None or message.text is None:
            return
        reactions = dict(message.reactions)
        users = reactions.get(emoji, frozenset())
        reactions[emoji] = users | {user} if on else users - {user}
        self.messages[target] = replace(message, reactions=tuple((k, v) for k, v in reactions.items() if v))


LiveChange = e.LiveStarted | e.LiveUpdated | e.LiveInterrupted | e.LiveResumed | e.LiveStopped


def follow_live(live: Live | None, event: LiveChange) -> Live | None:
    """The room's live after an event about it."""
    match event:
        case e.LiveStarted():
            return Live(
                session=event.session,
                title=event.title,
                category=event.category,
                mature=event.mature,
                since=event.at,
            )
        case e.LiveStopped():
            return None
        case _ if live is None:
            return None
        case e.LiveUpdated():
            return replace(live, title=event.title, category=event.category, mature=event.mature)
        case e.LiveInterrupted():
            return replace(live, interrupted=event.at)
        case e.LiveResumed():
            return replace(live, interrupted=None)


def _was_member(event: e.UserEvent) -> bool:
    match event:
        case e.MemberKicked() | e.MemberBanned():
            return event.was_member
        case _:
            return not isinstance(event, e.MemberJoined)
