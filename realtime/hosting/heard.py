"""What other nodes have written of one room and this node does not have yet."""

from collections.abc import Sequence

from rooms.events import Logged

HEARD = 4_096
"""Events that may wait for those before them; more are not kept, but read from the log like what is missing."""


class Heard:
    """`pos` is how far the room's log is known to go."""

    __slots__ = ("_events", "pos")

    def __init__(self) -> None:
        self.pos = 0
        self._events: dict[int, Logged] = {}

    def add(self, events: Sequence[Logged]) -> None:
        """Events in any order, perhaps heard before."""
        for event in events:
            if len(self._events) < HEARD:
                self._events[event.pos] = event
            self.pos = max(self.pos, event.pos)

    def settle(self, pos: int) -> None:
        """The log goes as far as a position, and is known to go further only where something of that was heard."""
        self._events = {at: event for at, event in self._events.items() if at > pos}
        self.pos = max((pos, *self._events))

    def take(self, after: int) -> list[Logged]:
        """Those that follow a position without a hole. What lies before is forgotten."""
        taken = []
        while (event := self._events.pop(after + 1, None)) is not None:
            taken.append(event)
            after += 1
        if self._events and after >= min(self._events):
            self._events = {pos: event for pos, event in self._events.items() if pos > after}
        return taken
