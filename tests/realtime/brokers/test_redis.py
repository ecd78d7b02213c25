"""RedisBroker on servers that are killed, stalled, restarted, and that throw their clients out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from realtime.brokers import redis_publisher
from realtime.brokers.redis import RedisBroker
from realtime.ports.carried import Beacon
from tests.support.node import Node
from tests.support.redis import RedisCluster, RedisServer


def pos(number: int) -> Beacon:
    return Beacon("e", number)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as it:
        yield it


@pytest.fixture
async def join() -> AsyncIterator[Callable[[str], Awaitable[Node]]]:
    """Opens another node's broker, which follows `r`."""
    nodes: list[Node] = []

    async def another(url: str, *, wait: bool = True) -> Node:
        node = Node(RedisBroker(url, prefix="test", timeout_ms=1_000))
        nodes.append(node)
        await node.broker.open(node)
        if wait:
            await node.until_up()
        await node.broker.follow("r")
        return node

    yield another
    for node in nodes:
        await node.broker.close()


Join = Callable[..., Awaitable[Node]]


async def until_carried(source: Node, sink: Node, number: int) -> None:
    """Publishes until it arrives: what is published while the broker is away is lost."""
    async with asyncio.timeout(20):
        while ("r", pos(number)) not in sink.received:
            source.broker.publish("r", pos(number))
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["killed", "stalled"])
async def test_a_server_that_was_away_carries_again_and_says_so(server: RedisServer, join: Join, how: str) -> None:
    ann, bob = await join(server.url), await join(server.url)
    await until_carried(ann, bob, 1)
    missed = bob.times_missed
    if how == "killed":
        server.kill()
    else:
        server.stall()
    async with asyncio.timeout(20):
        while ann.broker.up or bob.broker.up:
            ann.broker.publish("r", pos(2))
            await asyncio.sleep(0.01)
    dropped = ann.broker.dropped
    assert dropped
    ann.broker.publish("r", pos(3))
    assert ann.broker.dropped == dropped + 1
    await bob.broker.follow("later")
    if how == "killed":
        server.start()
    else:
        server.resume()
    await ann.until_up()
    await bob.until_up()
    await bob.until(lambda: bob.times_missed > missed)
    await until_carried(ann, bob, 4)
    ann.broker.publish("later", pos(5))
    await bob.hears("later", pos(5))
    assert ("r", pos(3)) not in bob.received


async def test_clients_thrown_out_come_back(server: RedisServer, join: Join) -> None:
    ann, bob = await join(server.url), await join(server.url)
    missed = bob.times_missed
    with server.client() as client:
        client.client_kill_filter(_type="pubsub", skipme=True)
        client.client_kill_filter(_type="normal", skipme=True)
    await bob.until(lambda: bob.times_missed > missed)
    await until_carried(ann, bob, 1)


async def test_a_server_that_is_not_there_yet_holds_nobody_up(join: Join) -> None:
    server = RedisServer()
    try:
        ann = await join(server.url, wait=False)
        bob = await join(server.url, wait=False)
        assert not ann.broker.up
        ann.broker.publish("r", pos(1))
        assert ann.broker.dropped == 1
        server.start()
        await ann.until_up()
        await bob.until_up()
        await until_carried(ann, bob, 2)
    finally:
        server.__exit__(None, None, None)


async def test_a_wrong_password_is_a_server_that_is_not_there(join: Join) -> None:
    with RedisServer(password="right") as server:
        ann = await join(server.url.replace("right", "wrong"), wait=False)
        bob = await join(server.url)
        assert bob.broker.up
        assert not ann.broker.up


async def test_what_is_more_than_may_wait_is_dropped(
    server: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await join(server.url), await join(server.url)
    monkeypatch.setattr(redis_publisher, "WAITING_BYTES", 1_000)
    for number in range(1_000):
        ann.broker.publish("r", pos(number))
    assert ann.broker.waiting <= 1_000
    dropped = ann.broker.dropped
    assert 0 < dropped < 1_000
    await bob.until(lambda: len(bob.received) == 1_000 - dropped)
    assert [message for _, message in bob.received] == [pos(number) for number in range(1_000 - dropped)]


async def test_what_cannot_be_read_is_counted_and_the_rest_heard(server: RedisServer, join: Join) -> None:
    bob = await join(server.url)
    assert isinstance(bob.broker, RedisBroker)
    with server.client() as client:
        for data in (b"", b"\xc1", b"\x92\xa1x\x91\x92\xa9unheardof\x01", b"\x92\xa1x\x90\x00"):
            client.publish("test:r", data)
        client.publish("test:r", b"\x92\xa5other\x91\x93\xa1b\xa1e\x07")
    await bob.hears("r", pos(7))
    assert bob.broker.undecodable == 4
    assert bob.nodes == {"other"}


async def test_a_receiver_that_fails_does_not_end_the_hearing(
    server: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await join(server.url), await join(server.url)
    heard = bob.heard

    def fails_once(*said: object) -> None:
        monkeypatch.setattr(bob, "heard", heard)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bob, "heard", fails_once)
    ann.broker.publish("r", pos(1))
    await until_carried(ann, bob, 2)


async def test_installations_that_share_a_server_hear_nothing_of_each_other(server: RedisServer, join: Join) -> None:
    ann = await join(server.url)
    stranger = Node(RedisBroker(server.url, prefix="other", timeout_ms=1_000))
    await stranger.broker.open(stranger)
    await stranger.until_up()
    await stranger.broker.follow("r")
    bob = await join(server.url)
    await until_carried(ann, bob, 1)
    await stranger.broker.close()
    assert stranger.received == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as it:
        yield it


async def test_a_cluster_that_is_not_there_yet_holds_nobody_up(join: Join) -> None:
    cluster = RedisCluster()
    ann, bob = await join(cluster.url, wait=False), await join(cluster.url, wait=False)
    assert not ann.broker.up
    with cluster:
        await ann.until_up()
        await bob.until_up()
        await until_carried(ann, bob, 1)


async def test_a_channel_that_moves_to_another_server_is_followed_there(cluster: RedisCluster, join: Join) -> None:
    ann, bob = await join(cluster.url), await join(cluster.url)
    await until_carried(ann, bob, 1)
    await asyncio.to_thread(cluster.move, "test:r")
    await until_carried(ann, bob, 2)


async def test_one_server_that_is_away_leaves_the_others_channels_alone(cluster: RedisCluster, join: Join) -> None:
    ann, bob = await join(cluster.url), await join(cluster.url)
    topics = [f"t{number}" for number in range(60)]
    await asyncio.gather(*(bob.broker.follow(topic) for topic in topics))
    cluster.servers[2].stall()
    async with asyncio.timeout(20):
        while ann.broker.up or bob.broker.up:
            ann.broker.publish("r", pos(2))
            await asyncio.sleep(0.01)
    for topic in topics:
        ann.broker.publish(topic, pos(3))
    await bob.until(lambda: len({topic for topic, message in bob.received if message == pos(3)}) >= 30)
    cluster.servers[2].resume()
    await ann.until_up()
    await bob.until_up()
    async with asyncio.timeout(20):
        while len({topic for topic, message in bob.received if message == pos(4)}) < len(topics):
            for topic in topics:
                ann.broker.publish(topic, pos(4))
            await asyncio.sleep(0.05)
