"""A broker of one process that loses, repeats, reorders and delays by chance, and can be taken away."""

import asyncio
import random
from collections.abc import Sequence
from itertools import count

from realtime.ports import Receiver
from realtime.ports.carried import Carried

_NUMBERS = count(1)


class LossyBus:
    """What its nodes share. While it is not `lossy` every message arrives once, and in order."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.lossy = True
        self.nodes: list[LossyBroker] = []


class LossyBroker:
    """The Broker of one node."""

    waiting = 0

    def __init__(self, bus: LossyBus):
        self.node = f"lossy-{next(_NUMBERS)}"
        self.up = True
        self.dropped = 0
        self._bus = bus
        self._receiver: Receiver | None = None
        self._topics: set[str] = set()
        bus.nodes.append(self)

    async def open(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def close(self) -> None:
        self._receiver = None

    def go(self) -> None:
        """Neither carries nor hears from now on."""
        self.up = False

    def come_back(self) -> None:
        self.up = True
        if self._receiver is not None:
            self._receiver.missed()

    def publish(self, topic: str, message: Carried) -> None:
        if not self.up:
            self.dropped += 1
            return
        chance = self._bus.chance
        for other in self._bus.nodes:
            if other is not self:
                for _ in range(chance.choice((0, 1, 1, 1, 2)) if self._bus.lossy else 1):
                    turns = chance.choice((0, 0, 1, 5, 30, 200)) if self._bus.lossy else 0
                    self._after(turns, other, topic, message)

    def _after(self, turns: int, other: "LossyBroker", topic: str, message: Carried) -> None:
        """So many turns of the event loop later the other node hears the message."""
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._after, turns - 1, other, topic, message)
        else:
            loop.call_soon(other._hear, self.node, topic, (message,))

    def _hear(self, node: str, topic: str, messages: Sequence[Carried]) -> None:
        if self.up and self._receiver is not None and topic in self._topics:
            self._receiver.heard(node, topic, messages)

    async def follow(self, topic: str) -> None:
        for _ in range(self._bus.chance.choice((0, 1, 5))):
            await asyncio.sleep(0)
        self._topics.add(topic)

    def unfollow(self, topic: str) -> None:
        self._topics.discard(topic)
