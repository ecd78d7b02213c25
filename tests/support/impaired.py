"""A relay of UDP that loses, delays and reorders: where the kernel has no `tc netem`."""

import asyncio
import random
from dataclasses import dataclass
from typing import Self

Address = tuple[str, int]

MOST_UNDER_WAY = 10_000
"""Datagrams that wait for their time; more are dropped, and counted."""
APART = 1e-6
"""Seconds between two datagrams: the event loop keeps no order of timers of the same moment."""


@dataclass(frozen=True)
class Condition:
    """Of each direction. `loss`: a share; `delay` and `jitter` in seconds: each datagram takes `delay` ± `jitter`. They
    stay in order unless it `reorders`.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reorders: bool = False


class Direction:
    """One way of one client. Its chance is its own: the same datagrams meet the same fate, whatever others send."""

    def __init__(self, relay: "Impaired", seed: str) -> None:
        self._relay = relay
        self._chance = random.Random(seed)
        self._last = 0.0

    def carry(self, data: bytes, transport: asyncio.DatagramTransport, address: Address | None) -> None:
        relay, condition = self._relay, self._relay.condition
        lost = self._chance.random() < condition.loss
        delay = condition.delay + condition.jitter * self._chance.uniform(-1, 1)
        if lost:
            relay.lost += 1
            return
        if relay.under_way >= MOST_UNDER_WAY:
            relay.dropped += 1
            return
        at = relay.loop.time() + delay
        if not condition.reorders:
            at = self._last = max(at, self._last + APART)
        relay.under_way += 1
        relay.loop.call_at(at, self._arrive, data, transport, address)

    def _arrive(self, data: bytes, transport: asyncio.DatagramTransport, address: Address | None) -> None:
        self._relay.under_way -= 1
        if not transport.is_closing():
            self._relay.passed += 1
            transport.sendto(data, address)


class Impaired(asyncio.DatagramProtocol):
    """Listens at `address` for clients of the server at `behind`, to which each comes from a port of its own. What the
    network is like is `condition`, which may change at any time. An ICMP refusal by either side is a loss.
    """

    def __init__(self, address: Address, behind: Address, *, condition: Condition = Condition(), seed: int = 1):
        self.condition = condition
        self.passed = self.lost = self.dropped = self.under_way = 0
        self.loop = asyncio.get_running_loop()
        self._address, self._behind, self._seed = address, behind, seed
        self._clients: dict[Address, _Client] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._opening: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._transport, _ = await self.loop.create_datagram_endpoint(lambda: self, self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        await asyncio.gather(*self._opening)
        for client in self._clients.values():
            client.close()
        self._transport.close()

    async def rebind(self) -> None:
        """As a router that has lost its state, or phones that change their networks: from now on the server sees all
        clients at other ports, and what it sends to those of before arrives nowhere.
        """
        await asyncio.gather(*self._opening)
        for client in self._clients.values():
            client.close()
            await client.open(self._behind)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr not in self._clients:
            assert self._transport is not None
            number = f"{self._seed} {len(self._clients)}"
            client = _Client(self._transport, addr, Direction(self, f"{number} up"), Direction(self, f"{number} down"))
            self._clients[addr] = client
            task = self.loop.create_task(client.open(self._behind))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._clients[addr].sent(data)

    def error_received(self, exc: Exception) -> None:
        self.lost += 1


class _Client(asyncio.DatagramProtocol):
    """A client, and the socket by which the server knows it."""

    def __init__(self, front: asyncio.DatagramTransport, address: Address, up: Direction, down: Direction) -> None:
        self._front, self._address, self._up, self._down = front, address, up, down
        self._transport: asyncio.DatagramTransport | None = None
        self._early: list[bytes] = []

    async def open(self, behind: Address) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=behind)
        for data in self._early:
            self._up.carry(data, self._transport, None)
        self._early.clear()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def sent(self, data: bytes) -> None:
        """By the client."""
        if self._transport is None:
            self._early.append(data)
        else:
            self._up.carry(data, self._transport, None)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._down.carry(data, self._front, self._address)

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed: what comes after is lost there, as datagrams are."""
