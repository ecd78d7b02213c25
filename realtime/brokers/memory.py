"""Fan-out within one process."""

import asyncio
from collections.abc import Sequence
from itertools import count

from realtime.ports import Receiver
from realtime.ports.carried import Carried

_NUMBERS = count(1)


class MemoryBus:
    """What the nodes of one process share: a node alone needs none."""

    def __init__(self) -> None:
        self.nodes: dict[MemoryBroker, Receiver] = {}


class MemoryBroker:
    """The Broker of a server that is one process. Loses, repeats and reorders nothing.

    A node has its own events already, so nothing that it publishes comes back to it: one node alone carries nothing
    anywhere. Nodes that share a MemoryBus hear each other, each in its next turn of the event loop.
    """

    waiting = 0
    dropped = 0

    def __init__(self, bus: MemoryBus | None = None):
        self.node = f"memory-{next(_NUMBERS)}"
        self.up = True
        self._bus = bus or MemoryBus()
        self._topics: set[str] = set()

    async def open(self, receiver: Receiver) -> None:
        self._bus.nodes[self] = receiver

    async def close(self) -> None:
        self._bus.nodes.pop(self, None)

    def publish(self, topic: str, message: Carried) -> None:
        if len(self._bus.nodes) < 2:
            return
        loop = asyncio.get_running_loop()
        for other in self._bus.nodes:
            if other is not self and topic in other._topics:
                loop.call_soon(other._hear, self.node, topic, (message,))

    def _hear(self, node: str, topic: str, messages: Sequence[Carried]) -> None:
        receiver = self._bus.nodes.get(self)
        if receiver is not None and topic in self._topics:
            receiver.heard(node, topic, messages)

    async def follow(self, topic: str) -> None:
        self._topics.add(topic)

    def unfollow(self, topic: str) -> None:
        self._topics.discard(topic)
