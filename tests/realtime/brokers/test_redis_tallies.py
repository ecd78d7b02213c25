"""RedisTallies on a server that is killed, stalled, emptied or full."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from realtime.brokers import redis_tallies
from realtime.brokers.redis_tallies import RedisTallies
from tests.support.redis import RedisServer
from tests.support.tallies import WAIT, acted, be_patient, until_held, until_up

Connect = Callable[[str], RedisTallies]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as it:
        yield it


@pytest.fixture
async def connect(server: RedisServer) -> AsyncIterator[Connect]:
    made: list[RedisTallies] = []

    def another(node: str) -> RedisTallies:
        tallies = RedisTallies(server.url, node=node, prefix="test")
        made.append(tallies)
        return tallies

    yield another
    for tallies in made:
        await tallies.close()


async def opened(tallies: RedisTallies) -> RedisTallies:
    await tallies.open(lambda: None)
    await until_up(tallies)
    return tallies


@pytest.mark.parametrize("how", ["killed", "stalled"])
async def test_a_server_that_is_away_holds_nobody_up_and_learns_of_the_last_numbers(
    server: RedisServer, connect: Connect, how: str
) -> None:
    ann, bob = await opened(connect("ann")), connect("bob")
    resumed: list[int] = []
    await bob.open(lambda: resumed.append(1))
    await until_up(bob)
    ann.note("user:x", 2)
    await until_held(bob, "user:x", 2)
    if how == "killed":
        server.kill()
    else:
        server.stall()
    ann.note("user:x", 5)
    ann.note("user:y", 1)
    # Nothing at all is known of others, within the time that anybody waits.
    assert await bob.held(["user:x"]) == {}
    async with asyncio.timeout(WAIT):
        while ann.up or bob.up:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)
    failed = bob.failed
    assert await bob.held(["user:x"]) == {}
    bob.act("invites:x", 1_000, lambda total, left: None)
    assert bob.failed >= failed + 2
    ann.note("user:x", 3)
    assert resumed == [1]
    if how == "killed":
        server.start()
    else:
        server.resume()
    await until_up(bob)
    assert resumed == [1, 1]
    assert await until_held(bob, "user:x", 3) == {"ann": 3}
    assert await until_held(bob, "user:y", 1) == {"ann": 1}
    assert (await acted(bob, "invites:x", 1_000))[0] == 1


async def test_a_server_that_is_not_there_yet_holds_nobody_up(server: RedisServer, connect: Connect) -> None:
    server.kill()
    ann = connect("ann")
    await ann.open(lambda: None)
    ann.note("user:x", 2)
    assert await ann.held(["user:x"]) == {}
    server.start()
    await until_up(ann)
    await until_held(ann, "user:x", 2)


async def test_an_emptied_server_knows_nothing_and_goes_on(
    server: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch)
    ann, bob = await opened(connect("ann")), await opened(connect("bob"))
    ann.note("user:x", 2)
    assert (await acted(ann, "reactions:x", 60_000))[0] == 1
    await until_held(bob, "user:x", 2)
    with server.client() as client:
        client.flushall()
    assert await bob.held(["user:x"]) == {"user:x": {}}
    assert (await acted(ann, "reactions:x", 60_000))[0] == 1
    ann.note("user:x", 3)
    await until_held(bob, "user:x", 3)
    assert not ann.failed


async def test_a_full_server_is_one_that_is_away(server: RedisServer, connect: Connect) -> None:
    ann = await opened(connect("ann"))
    with server.client() as client:
        client.config_set("maxmemory", "1")
        ann.note("user:x", 2)
        async with asyncio.timeout(WAIT):
            while ann.up:  # noqa: ASYNC110 - nothing says when
                await asyncio.sleep(0.01)
        client.config_set("maxmemory", "0")
    await until_up(ann)
    await until_held(ann, "user:x", 2)


async def test_numbers_are_kept_for_a_day(server: RedisServer, connect: Connect) -> None:
    ann = await opened(connect("ann"))
    ann.note("user:x", 2)
    await until_held(ann, "user:x", 2)
    with server.client() as client:
        assert 86_000 < client.ttl("test:held:user:x") <= 86_400


async def test_of_too_much_the_oldest_is_dropped(
    server: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch)
    ann = await opened(connect("ann"))
    monkeypatch.setattr(redis_tallies, "WAITING", 10)
    for number in range(25):
        ann.note(f"user:{number}", 1)
        ann.act(f"reactions:{number}", 60_000, lambda total, left: None)
    assert ann.dropped == 30
    await until_held(ann, "user:24", 1)
    held = await ann.held([f"user:{number}" for number in range(25)])
    assert [number for number in range(25) if held[f"user:{number}"]] == list(range(15, 25))
