"""What every Broker does, run on each adapter: a broker may lose, repeat and reorder, but not invent or echo."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from realtime.brokers.memory import MemoryBroker, MemoryBus
from realtime.ports import Broker
from rooms.actors import By
from rooms.events import Logged, RoomClosed


def memory() -> Callable[[], Broker]:
    bus = MemoryBus()
    return lambda: MemoryBroker(bus)


ADAPTERS: dict[str, Callable[[], Callable[[], Broker]]] = {"memory": memory}


class Node:
    """A broker, and what it received: (room, pos) pairs."""

    def __init__(self, broker: Broker):
        self.broker = broker
        self.received: list[tuple[str, int]] = []
        self.more = asyncio.Event()

    def receive(self, room: str, events: Sequence[Logged]) -> None:
        self.received += [(room, event.pos) for event in events]
        self.more.set()

    async def receives(self, room: str, pos: int) -> None:
        async with asyncio.timeout(10):
            while (room, pos) not in self.received:
                self.more.clear()
                await self.more.wait()


@pytest.fixture(params=ADAPTERS)
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[list[Node]]:
    connect = ADAPTERS[request.param]()
    nodes = [Node(connect()) for _ in range(3)]
    for node in nodes:
        await node.broker.open(node.receive)
    yield nodes
    for node in nodes:
        await node.broker.close()


def events(*positions: int, room: str = "r") -> list[Logged]:
    return [RoomClosed(room=room, pos=pos, at=1, by=By("ann", "Ann", "owner")) for pos in positions]


async def test_carries_events_to_every_other_node(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", events(1, 2))
    await nodes[1].receives("r", 2)
    await nodes[2].receives("r", 2)
    assert nodes[1].received == nodes[2].received == [("r", 1), ("r", 2)]


async def test_a_node_does_not_hear_itself(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", events(1))
    nodes[1].broker.publish("r", events(2))
    await nodes[2].receives("r", 1)
    await nodes[2].receives("r", 2)
    await nodes[0].receives("r", 2)
    await nodes[1].receives("r", 1)
    assert nodes[0].received == [("r", 2)]
    assert nodes[1].received == [("r", 1)]


async def test_keeps_rooms_apart(nodes: list[Node]) -> None:
    nodes[0].broker.publish("a", events(1, room="a"))
    nodes[0].broker.publish("b", events(7, room="b"))
    await nodes[1].receives("b", 7)
    await nodes[1].receives("a", 1)


async def test_never_calls_back_from_within_publish(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", events(1))
    assert [node.received for node in nodes] == [[], [], []]
    await nodes[1].receives("r", 1)


async def test_the_publishers_list_may_change_afterwards(nodes: list[Node]) -> None:
    batch = events(1)
    nodes[0].broker.publish("r", batch)
    batch.clear()
    await nodes[1].receives("r", 1)


async def test_a_closed_node_hears_nothing_and_the_others_go_on(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", events(1))
    await nodes[1].broker.close()
    nodes[0].broker.publish("r", events(2))
    await nodes[2].receives("r", 2)
    assert nodes[1].received == []


async def test_closing_twice_is_fine(nodes: list[Node]) -> None:
    await nodes[0].broker.close()
    await nodes[0].broker.close()
