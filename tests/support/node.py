"""A broker as a test sees it, with what it has heard."""

import asyncio
from collections.abc import Callable, Sequence

from realtime.ports import Broker
from realtime.ports.carried import Carried


class Node:
    """`received` are topics and messages."""

    def __init__(self, broker: Broker):
        self.broker = broker
        self.received: list[tuple[str, Carried]] = []
        self.nodes: set[str] = set()
        self.times_missed = 0
        self._more = asyncio.Event()

    def heard(self, node: str, topic: str, messages: Sequence[Carried]) -> None:
        self.nodes.add(node)
        self.received += [(topic, message) for message in messages]
        self._more.set()

    def missed(self) -> None:
        self.times_missed += 1
        self._more.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Looks whenever something is heard."""
        async with asyncio.timeout(20):
            while not true():
                self._more.clear()
                await self._more.wait()

    async def hears(self, topic: str, message: Carried) -> None:
        await self.until(lambda: (topic, message) in self.received)

    async def until_up(self) -> None:
        await self.until(lambda: self.broker.up)
