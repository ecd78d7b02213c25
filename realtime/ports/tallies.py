"""Counts over all nodes."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from rooms.ids import Millis

ANSWER_SECONDS = 0.25
"""Longer than this nobody waits for counts."""

Told = Callable[[int, Millis], None]
"""Is told how often something has been done within the window, on all nodes, and in how many milliseconds it ends."""


class Tallies(Protocol):
    """Numbers that nodes add up: of what there is (*held*: a user's connections, a room's listeners) and of what was
    done lately (*acts*). None of them is worth a wait, or an error: who asks goes on with what this node knows itself.

    *Order*: what was noted before a question is in its answer. *Loss*: all may be forgotten at any time.
    *Slow or gone*: nothing here raises. Questions are answered with nothing, at once where `up` is false, else within
    ANSWER_SECONDS; acts count at this node alone; of what is held the last number is kept, and noted later.
    """

    @property
    def up(self) -> bool:
        """Whether counts are shared, as far as is known."""

    @property
    def failed(self) -> int:
        """How often counts could not be noted or read, or not in time."""

    @property
    def dropped(self) -> int:
        """Numbers and acts that too many others waited before."""

    async def open(self, resumed: Callable[[], None]) -> None:
        """Begins to count, as soon as it can. `resumed` is called whenever it works again: what was noted before may
        have been forgotten.
        """

    async def close(self) -> None:
        """Notes what waits, within ANSWER_SECONDS, and no more. May be called twice."""

    def note(self, name: str, count: int) -> None:
        """So many of it are held at this node now. A number that is not noted again is forgotten after a day."""

    async def held(self, names: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """For each name the counts of all nodes that hold some of it, also of nodes that are gone."""

    def act(self, name: str, window_ms: Millis, told: Told) -> None:
        """It was done once more. The first time begins a window. `told` is called with the answer; of acts that are
        counted together, only the last one's.
        """
