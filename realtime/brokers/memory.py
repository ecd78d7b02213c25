"""Fan-out within one process."""

import asyncio
from collections.abc import Sequence

from realtime.ports import Receive
from rooms.events import Logged


class MemoryBus:
    """What the nodes of one process share: a node alone needs none."""

    def __init__(self) -> None:
        self.nodes: dict[MemoryBroker, Receive] = {}


class MemoryBroker:
    """The Broker of a server that is one process. Loses, repeats and reorders nothing.

    A node has its own events already, so nothing that it publishes comes back to it: one node alone carries nothing
    anywhere. Nodes that share a MemoryBus hear each other, each in its next turn of the event loop.
    """

    def __init__(self, bus: MemoryBus | None = None):
        self._bus = bus or MemoryBus()

    async def open(self, receive: Receive) -> None:
        self._bus.nodes[self] = receive

    async def close(self) -> None:
        self._bus.nodes.pop(self, None)

    def publish(self, room: str, events: Sequence[Logged]) -> None:
        others = [node for node in self._bus.nodes if node is not self]
        if not others:
            return
        loop = asyncio.get_running_loop()
        carried = tuple(events)
        for node in others:
            loop.call_soon(self._deliver, node, room, carried)

    def _deliver(self, node: "MemoryBroker", room: str, events: Sequence[Logged]) -> None:
        receive = self._bus.nodes.get(node)
        if receive is not None:
            receive(room, events)
