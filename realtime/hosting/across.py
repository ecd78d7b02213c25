"""What this node tells the others."""

from collections.abc import Sequence
from typing import Any

from realtime import ports
from realtime.ports.carried import (
    Alive,
    Beacon,
    Committed,
    DestinationsChanged,
    Joined,
    LoggedOut,
    Marked,
    Present,
    RecordingsChanged,
    Renamed,
    Retold,
    RoomTold,
    StreamBegun,
    StreamEnded,
    UserTold,
    ViewerGone,
    Who,
)
from realtime.tracing import Trace
from rooms.actors import By
from rooms.effects import Ending
from rooms.events import Logged

BEACONS = 2
"""How often, after its last event, the position of a room is told once more."""


MARKS = 65_536
"""Read marks that wait for the next tick; with so many they are told at once."""


class Across:
    """Nothing here waits, or fails: what does not arrive is found missing on the other side."""

    def __init__(self, broker: ports.Broker):
        self._broker = broker
        self._active: dict[str, int] = {}
        """Rooms this node has written to lately → beacons that are still to come; one more for those that it has
        written to since the last, as what comes after shows what is missing.
        """
        self._marks: dict[tuple[str, str], None] = {}
        """Users and rooms in which they have read further since that was told."""
        self._dropped = broker.dropped

    @property
    def node(self) -> str:
        """This node's name."""
        return self._broker.node

    @property
    def up(self) -> bool:
        """Whether what is said now is heard, as far as is known."""
        return self._broker.up

    def lost(self) -> bool:
        """Whether something that was said since the last call was not heard, or perhaps not."""
        before, self._dropped = self._dropped, self._broker.dropped
        return self._dropped != before

    def committed(self, room: str, epoch: str, events: Sequence[Logged], traces: Sequence[Trace] = ()) -> None:
        """This node has written to the room's log; `traces` belong to it."""
        self._active[room] = BEACONS + 1
        for trace in traces:
            trace.step("publish")
        contexts = tuple([trace.context for trace in traces])
        self._broker.publish(ports.room_topic(room), Committed(epoch, tuple(events), contexts))
        for trace in traces:
            trace.end()

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

    def present(self, room: str, listening: Present) -> None:
        """Who listens to the room here."""
        self._broker.publish(ports.room_topic(room), listening)

    def retold(self, since: int) -> None:
        self._broker.publish(ports.NODES, Retold(since))

    def ask_who(self, room: str) -> None:
        """The others will say who listens to the room there."""
        self._broker.publish(ports.room_topic(room), Who())

    def ask_who_everywhere(self, node: str = "") -> None:
        """The others, or the one `node`, will say who listens to any room there."""
        self._broker.publish(ports.NODES, Who(node))

    def user(self, user: str, event: dict[str, Any]) -> None:
        """An event for all of a user's connections there."""
        self._broker.publish(ports.user_topic(user), UserTold(user, event))

    def joined(self, user: str, room: str) -> None:
        self._broker.publish(ports.user_topic(user), Joined(user, room))

    def marked(self, user: str, room: str) -> None:
        """Told with the next `tell_marks`: who reads on marks one position after the other."""
        self._marks[user, room] = None
        if len(self._marks) >= MARKS:
            self.tell_marks()

    def tell_marks(self) -> None:
        marks, self._marks = self._marks, {}
        for user, room in marks:
            self._broker.publish(ports.user_topic(user), Marked(user, room))

    def logged_out(self, user: str) -> None:
        self._broker.publish(ports.user_topic(user), LoggedOut(user))

    def stream_ended(self, room: str, ending: Ending) -> None:
        self._broker.publish(ports.NODES, StreamEnded(room, ending))

    def stream_begun(self, room: str) -> None:
        self._broker.publish(ports.NODES, StreamBegun(room))

    def viewer_gone(self, room: str, user: str) -> None:
        self._broker.publish(ports.NODES, ViewerGone(room, user))

    def recordings_changed(self, room: str) -> None:
        self._broker.publish(ports.NODES, RecordingsChanged(room))

    def destinations_changed(self, user: str) -> None:
        self._broker.publish(ports.NODES, DestinationsChanged(user))

    def alive(self, *, leaving: bool = False) -> None:
        self._broker.publish(ports.NODES, Alive(leaving))
