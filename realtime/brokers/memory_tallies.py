"""Counts within one process."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from realtime.ports.tallies import Told
from rooms.ids import Millis


class MemoryCounts:
    """What the nodes of one process share: a node alone needs none."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, int]] = {}
        self.acts: dict[str, tuple[int, float]] = {}
        """How often, and when the window ends on the loop's clock."""


class MemoryTallies:
    """The Tallies of a server that is one process: it knows all that there is itself, and nothing is noted. Nodes that
    share MemoryCounts know of each other at once, and forget nothing.
    """

    up = True
    failed = 0
    dropped = 0

    def __init__(self, node: str = "", counts: MemoryCounts | None = None):
        self._node = node
        self._counts = counts

    async def open(self, resumed: Callable[[], None]) -> None: ...

    async def close(self) -> None: ...

    def note(self, name: str, count: int) -> None:
        if self._counts is not None:
            nodes = self._counts.held.setdefault(name, {})
            if count:
                nodes[self._node] = count
            else:
                nodes.pop(self._node, None)

    async def held(self, names: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        held = self._counts.held if self._counts is not None else {}
        return {name: dict(held.get(name, {})) for name in names}

    def act(self, name: str, window_ms: Millis, told: Told) -> None:
        if self._counts is None:
            return
        loop = asyncio.get_running_loop()
        count, until = self._counts.acts.get(name, (0, 0.0))
        if until <= loop.time():
            count, until = 0, loop.time() + window_ms / 1_000
        self._counts.acts[name] = count + 1, until
        loop.call_soon(told, count + 1, round((until - loop.time()) * 1_000))
