"""What every Broker does, run on each adapter: a broker may lose, repeat and reorder, but not invent or echo.

None of these servers fails here, so nothing may be lost either: what is lost when they do, tests/realtime/brokers says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from realtime.brokers.memory import MemoryBroker, MemoryBus
from realtime.brokers.redis import RedisBroker
from realtime.ports import Broker
from realtime.ports.carried import (
    Alive,
    Beacon,
    Carried,
    Committed,
    Joined,
    LoggedOut,
    Marked,
    Present,
    Renamed,
    Retold,
    RoomTold,
    Who,
)
from realtime.ports.carried import UserTold as Told
from rooms.actors import By
from rooms.events import Body, MessageCreated, Quote, RoomClosed
from tests.support.node import Node
from tests.support.redis import RedisCluster, RedisServer

ADAPTERS = ("memory", "redis", "redis over TLS", "redis cluster")


@pytest.fixture(scope="module", params=ADAPTERS)
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[], Broker]]:
    """Makes another node's broker."""
    if request.param == "memory":
        bus = MemoryBus()
        yield lambda: MemoryBroker(bus)
        return
    servers = {"redis": RedisServer, "redis cluster": RedisCluster}.get(request.param)
    with servers() if servers else RedisServer(tls=True, password="geheim") as server:
        yield lambda: RedisBroker(server.url, prefix="test", timeout_ms=5_000)


@pytest.fixture
async def nodes(connect: Callable[[], Broker]) -> AsyncIterator[list[Node]]:
    """Three, that follow `r`."""
    nodes = [Node(connect()) for _ in range(3)]
    for node in nodes:
        await node.broker.open(node)
    for node in nodes:
        await node.until_up()
        await node.broker.follow("r")
    yield nodes
    for node in nodes:
        await node.broker.close()


def pos(number: int) -> Beacon:
    return Beacon("e", number)


async def test_carries_to_every_other_node_in_order(nodes: list[Node]) -> None:
    for number in range(300):
        nodes[0].broker.publish("r", pos(number))
    for other in nodes[1:]:
        await other.hears("r", pos(299))
        assert other.received == [("r", pos(number)) for number in range(300)]
        assert other.nodes == {nodes[0].broker.node}


async def test_a_node_does_not_hear_itself(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", pos(1))
    nodes[1].broker.publish("r", pos(2))
    await nodes[2].hears("r", pos(1))
    await nodes[2].hears("r", pos(2))
    await nodes[0].hears("r", pos(2))
    await nodes[1].hears("r", pos(1))
    assert nodes[0].received == [("r", pos(2))]
    assert nodes[1].received == [("r", pos(1))]


async def test_carries_a_topic_to_those_alone_who_follow_it(nodes: list[Node]) -> None:
    await nodes[1].broker.follow("a")
    await nodes[2].broker.follow("b")
    nodes[0].broker.publish("a", pos(1))
    nodes[0].broker.publish("b", pos(2))
    nodes[0].broker.publish("r", pos(3))
    for node, own in ((nodes[1], ("a", pos(1))), (nodes[2], ("b", pos(2)))):
        await node.hears("r", pos(3))
        await node.until(lambda node=node, own=own: own in node.received)  # type: ignore[misc]  # the defaults bind them
        assert sorted(topic for topic, _ in node.received) == sorted([own[0], "r"])


async def test_what_is_not_followed_any_more_is_not_heard(nodes: list[Node]) -> None:
    await nodes[1].broker.follow("a")
    nodes[0].broker.publish("a", pos(1))
    await nodes[1].hears("a", pos(1))
    nodes[1].broker.unfollow("a")
    nodes[1].broker.unfollow("never followed")
    await nodes[1].broker.follow("b")
    nodes[0].broker.publish("a", pos(2))
    nodes[0].broker.publish("b", pos(3))
    await nodes[1].hears("b", pos(3))
    await nodes[1].broker.follow("a")
    nodes[0].broker.publish("a", pos(4))
    await nodes[1].hears("a", pos(4))


async def test_following_returns_when_all_from_then_on_is_heard(nodes: list[Node]) -> None:
    for number in range(100):
        await nodes[1].broker.follow(f"t{number}")
        nodes[0].broker.publish(f"t{number}", pos(number))
    for number in range(100):
        await nodes[1].hears(f"t{number}", pos(number))


async def test_follows_many_at_once(nodes: list[Node]) -> None:
    await asyncio.gather(*(nodes[1].broker.follow(f"m{number}") for number in range(2_000)))
    for number in range(2_000):
        nodes[0].broker.publish(f"m{number}", pos(number))
    await nodes[1].until(lambda: len(nodes[1].received) == 2_000)
    assert {topic for topic, _ in nodes[1].received} == {f"m{number}" for number in range(2_000)}


async def test_carries_all_that_can_be_said(nodes: list[Node]) -> None:
    ann = By("ann", "Ann 🐈", "owner", "https://example.org/a.png")
    said: list[Carried] = [
        Committed(
            "e1",
            (
                MessageCreated(
                    room="r",
                    pos=7,
                    at=1_795_367_182_123,
                    by=ann,
                    message=Body(text="这是\n\x00", n=3, reply_to=Quote(1, ann, "so"), mentions=("bob",)),
                ),
                RoomClosed(room="r", pos=8, at=2**53 - 1, by=ann),
            ),
        ),
        pos(2**53 - 1),
        RoomTold({"type": "typing", "room": "r", "user": "ann"}, staff=True),
        Renamed(ann),
        Present(7, 2, {"ann": "Ann 🐈", "": ""}),
        Present(2**53 - 1, 201, None),
        Retold(6),
        Who(),
        Who("a node"),
        Told("ann", {"type": "pending.resolved", "pending": "p", "outcome": "approved", "pos": 7}),
        Joined("ann", "r"),
        Marked("ann", "r"),
        LoggedOut("ann"),
        Alive(leaving=True),
    ]
    for message in said:
        nodes[0].broker.publish("r", message)
    await nodes[1].until(lambda: len(nodes[1].received) >= len(said))
    assert [message for _, message in nodes[1].received] == said


async def test_carries_large_batches(nodes: list[Node]) -> None:
    text = "x" * 2_000
    by = By("ann", "Ann", "owner")
    batch = Committed(
        "e",
        tuple(
            MessageCreated(room="r", pos=n, at=1, by=by, message=Body(text=text, n=n, mentions=()))
            for n in range(1, 257)
        ),
    )
    for _ in range(20):
        nodes[0].broker.publish("r", batch)
    await nodes[1].until(lambda: len(nodes[1].received) == 20)
    assert all(message == batch for _, message in nodes[1].received)
    assert nodes[0].broker.dropped == 0


async def test_never_calls_back_from_within_publish(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", pos(1))
    assert [node.received for node in nodes] == [[], [], []]
    await nodes[1].hears("r", pos(1))


async def test_closing_sends_what_waits(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", pos(1))
    await nodes[0].broker.close()
    await nodes[1].hears("r", pos(1))


async def test_a_closed_node_hears_nothing_and_the_others_go_on(nodes: list[Node]) -> None:
    nodes[0].broker.publish("r", pos(1))
    await nodes[1].hears("r", pos(1))
    await nodes[1].broker.close()
    nodes[0].broker.publish("r", pos(2))
    await nodes[2].hears("r", pos(2))
    assert nodes[1].received == [("r", pos(1))]


async def test_every_node_has_a_name_of_its_own(nodes: list[Node]) -> None:
    assert len({node.broker.node for node in nodes}) == 3


async def test_closing_twice_is_fine(nodes: list[Node]) -> None:
    await nodes[0].broker.close()
    await nodes[0].broker.close()
    assert not nodes[0].broker.waiting
