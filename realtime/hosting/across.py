"""What this node tells the others."""

from collections.abc import Sequence
from typing import Any

from realtime import ports
from realtime.ports.carried import (
    Alive,
    Beacon,
    Committed,
    Joined,
    LoggedOut,
    Marked,
    Renamed,
    RoomTold,
    UserTold,
)
from rooms.actors import By
from rooms.events import Logged

BEACONS = 2
"""How often, after its last event, the position of a room is told once more."""


class Across:
    """Nothing here waits, or fails: what does not arrive is found missing on the other side."""

    def __init__(self, broker: ports.Broker):
        self._broker = broker
        self._active: dict[str, int] = {}
        """Rooms this node has written to lately → beacons that are still to come; one more for those that it has
        written to since the last, as what comes after shows what is missing.
        """

    def committed(self, room: str, epoch: str, events: Sequence[Logged]) -> None:
        """This node has written to the room's log."""
        self._active[room] = BEACONS + 1
        self._broker.publish(ports.room_topic(room), Committed(epoch, tuple(events)))

    def quiet(self) -> list[str]:
        """The rooms for which it is time for a beacon: those not written to since the last call, BEACONS times each."""
        rooms = [room for room, left in self._active.items() if left <= BEACONS]
        self._active = {room: left - 1 for room, left in self._active.items() if left > 1}
        return rooms

    def beacon(self, room: str, epoch: str, pos: int) -> None:
        self._broker.publish(ports.room_topic(room), Beacon(epoch, pos))

    def room(self, room: str, event: dict[str, Any], *, staff: bool = False) -> None:
        """An ephemeral event for who listens there, or for moderators who do."""
        self._broker.publish(ports.room_topic(room), RoomTold(event, staff))

    def renamed(self, room: str, user: By) -> None:
        self._broker.publish(ports.room_topic(room), Renamed(user))

    def user(self, user: str, event: dict[str, Any]) -> None:
        """An event for all of a user's connections there."""
        self._broker.publish(ports.user_topic(user), UserTold(user, event))

    def joined(self, user: str, room: str) -> None:
        self._broker.publish(ports.user_topic(user), Joined(user, room))

    def marked(self, user: str, room: str) -> None:
        self._broker.publish(ports.user_topic(user), Marked(user, room))

    def logged_out(self, user: str) -> None:
        self._broker.publish(ports.user_topic(user), LoggedOut(user))

    def alive(self, *, leaving: bool = False) -> None:
        self._broker.publish(ports.NODES, Alive(leaving))
