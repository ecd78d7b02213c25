"""What follows a commit: who hears of it, who may listen no longer, whose counts change."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from realtime.fanout.hub import Hub
from realtime.fanout.rings import Rings
from realtime.hosting.across import Across
from realtime.hosting.host import Host
from realtime.hosting.queries import shown_pending
from realtime.hosting.rounds import Written
from realtime.hosting.users import Users
from realtime.live.rooms import LiveRooms
from realtime.tracing import Tracer
from rooms import events as e
from rooms.actors import By
from rooms.effects import AddPending, React, TakePending
from rooms.room import FOREVER

REACTED = 10_000
"""Messages whose counts of reactions wait to be told; of more, the oldest is told with its next reaction."""


class Aftermath:
    """Called with every commit, in the order of each room's log."""

    def __init__(
        self,
        hub: Hub,
        users: Users,
        rings: Rings,
        across: Across,
        hosts: Mapping[str, Host],
        recorded: Callable[[], None],
        tracer: Tracer | None,
        live: LiveRooms,
    ):
        """`recorded` is called when interaction records have been put into the outbox."""
        self.reacted: OrderedDict[tuple[str, int], None] = OrderedDict()
        """Rooms and positions of live rooms' messages whose counts of reactions have changed."""
        self._hub = hub
        self._users = users
        self._rings = rings
        self._across = across
        self._hosts = hosts
        self._recorded = recorded
        self._tracer = tracer
        self._live = live

    def committed(self, host: Host, written: Written) -> None:
        room, events = host.room, written.events
        own = events[written.others :]
        traces = written.traces
        if self._tracer is not None and written.others:
            traces = [*traces, *self._tracer.applied(events[: written.others])]
        if own:
            # First: it is a moment's work, and is then on its way while this node's own listeners are written to.
            self._across.committed(room.id, host.epoch, own, written.traces)
            for event in own:
                self._tell_newcomer(event)
        if traces:
            self._hub.trace(room.id, traces)
        urgent = not host.waiting
        for event in events:
            self._hub.publish(room.id, (event,), urgent=urgent)
            self._follow(host, event)
        for effect, pos in written.effects:
            match effect:
                case AddPending(pending):
                    self._tell_staff(host, {"type": "message.pending"} | shown_pending(pending))
                case TakePending(pending_id, author, outcome):
                    self.resolved(author, pending_id, outcome, pos)
                case React(target):
                    self.reacted[room.id, target] = None
                    if len(self.reacted) > REACTED:
                        self.reacted.popitem(last=False)
                case _:
                    pass
        if own or written.effects:
            self._recorded()
            self._live.committed(room, own, [effect for effect, _ in written.effects])

    def follow_users(self, event: e.Logged) -> None:
        """What an event means for who is online."""
        match event:
            case e.MessageCreated():
                self._users.message(event)
            case e.MessageEdited() | e.MessageDeleted():
                self._users.rewritten(event)
            case e.RoomCreated():
                self._users.joined(event.room, event.by.id)
            case e.MemberJoined():
                self._users.joined(event.room, event.user)
            case e.MemberLeft() | e.MemberKicked() | e.MemberBanned():
                self._users.parted(event.room, event.user)
            case _:
                pass

    def _tell_newcomer(self, event: e.Logged) -> None:
        """The new member may be online elsewhere, where nobody has followed the room."""
        match event:
            case e.RoomCreated():
                self._across.joined(event.by.id, event.room)
            case e.MemberJoined():
                self._across.joined(event.user, event.room)
            case _:
                pass

    def _follow(self, host: Host, event: e.Logged) -> None:
        """What an event means for who is online, and for who listens."""
        self.follow_users(event)
        room = host.room
        match event:
            case e.MemberLeft():
                if room.visibility == "private":
                    self.expel(room.id, event.user, "revoked")
                else:
                    self._regroup(host, event.user)
            case e.MemberKicked():
                self.expel(room.id, event.user, "kicked", event.reason)
            case e.MemberBanned():
                self.expel(room.id, event.user, "banned", event.reason, event.until)
            case e.MemberRoleChanged():
                self._regroup(host, event.user)
            case e.RoomUpdated() if event.changes.settings is not None:
                for user in self._hub.users(room.id):
                    self._regroup(host, user)
            case e.RoomClosed():
                for user in self._hub.users(room.id):
                    self.expel(room.id, user, "closed")
            case _:
                pass

    def expel(self, room: str, user: str, code: str, reason: str | None = None, until: int | None = None) -> None:
        """Ends the user's subscriptions of the room, after all that was published before."""
        notice: dict[str, Any] = {"type": "room.removed", "room": room, "code": code}
        if reason is not None:
            notice["reason"] = reason
        if until is not None and until < FOREVER:
            notice["until"] = until
        for listener in self._hub.listeners(room, user):
            self._hub.remove(room, listener)
            listener.expelled(room, notice)

    def _regroup(self, host: Host, user: str) -> None:
        for listener in self._hub.listeners(host.room.id, user):
            self._hub.set_viewer(host.room.id, listener, host.room.viewer(listener.actor))

    def _tell_staff(self, host: Host, event: dict[str, Any]) -> None:
        """The room's own wherever they are online, others who moderate (platform admins) where they listen."""
        for user in host.room.staff:
            self._users.tell(user, event)
            self._across.user(user, event)
        self.tell_listening_staff(host.room.id, event)
        self._across.room(host.room.id, event, staff=True)

    def tell_listening_staff(self, room: str, event: dict[str, Any]) -> None:
        """Those who moderate the room by their tokens alone, and listen here."""
        host = self._hosts.get(room)
        for user in self._hub.staff(room) - (host.room.staff.keys() if host is not None else set()):
            self._users.tell(user, event)

    def renamed(self, room: str, user: By) -> None:
        """A member or listener of the room goes by another name or avatar."""
        host = self._hosts.get(room)
        if host is not None:
            host.renamed(user)
        self._rings.renamed(user.id, user.name, user.avatar)
        shown = {"id": user.id, "name": user.name} | ({"avatar": user.avatar} if user.avatar else {})
        self._hub.publish(room, [{"type": "user.updated", "room": room, "user": shown}])

    def resolved(self, author: str, pending: str, outcome: str, pos: int | None) -> None:
        event: dict[str, Any] = {"type": "pending.resolved", "pending": pending, "outcome": outcome}
        if pos is not None:
            event["pos"] = pos
        self._users.tell(author, event)
        self._across.user(author, event)
