"""What follows a commit: who hears of it, who may listen no longer, whose counts change."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.hosting.host import Host
from realtime.hosting.queries import shown_pending
from realtime.hosting.rounds import Written
from realtime.hosting.users import Users
from rooms import events as e
from rooms.effects import AddPending, React, TakePending
from rooms.room import FOREVER

REACTED = 10_000
"""Messages whose counts of reactions wait to be told; of more, the oldest is told with its next reaction."""


class Aftermath:
    """Called with every commit, in the order of each room's log."""

    def __init__(self, hub: Hub, users: Users, broker: ports.Broker, recorded: Callable[[], None]):
        """`recorded` is called when interaction records have been put into the outbox."""
        self.reacted: OrderedDict[tuple[str, int], None] = OrderedDict()
        """Rooms and positions of live rooms' messages whose counts of reactions have changed."""
        self._hub = hub
        self._users = users
        self._broker = broker
        self._recorded = recorded

    def committed(self, host: Host, written: Written) -> None:
        room, events = host.room, written.events
        urgent = not host.waiting
        for event in events:
            self._hub.publish(room.id, (event,), urgent=urgent)
            self._follow(host, event)
        if events:
            self._broker.publish(room.id, events)
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
        self._recorded()

    def _follow(self, host: Host, event: e.Logged) -> None:
        """What an event means for who listens and who is online."""
        room = host.room
        match event:
            case e.MessageCreated():
                self._users.message(event)
            case e.MessageEdited() | e.MessageDeleted():
                self._users.rewritten(event)
            case e.RoomCreated():
                self._users.joined(room.id, event.by.id)
            case e.MemberJoined():
                self._users.joined(room.id, event.user)
            case e.MemberLeft():
                self._users.parted(room.id, event.user)
                if room.visibility == "private":
                    self.expel(room.id, event.user, "revoked")
                else:
                    self._regroup(host, event.user)
            case e.MemberKicked():
                self._users.parted(room.id, event.user)
                self.expel(room.id, event.user, "kicked", event.reason)
            case e.MemberBanned():
                self._users.parted(room.id, event.user)
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
        for user in {*host.room.staff, *self._hub.staff(host.room.id)}:
            self._users.tell(user, event)

    def resolved(self, author: str, pending: str, outcome: str, pos: int | None) -> None:
        event: dict[str, Any] = {"type": "pending.resolved", "pending": pending, "outcome": outcome}
        if pos is not None:
            event["pos"] = pos
        self._users.tell(author, event)
