"""What every Tallies does, run on each adapter. None of these servers fails here: what is lost when they do,
tests/realtime/brokers says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from realtime.brokers.memory_tallies import MemoryCounts, MemoryTallies
from realtime.brokers.redis_tallies import RedisTallies
from realtime.ports import Tallies
from tests.support.redis import RedisCluster, RedisServer
from tests.support.tallies import acted, be_patient, until_held, until_up

Connect = Callable[[str], Tallies]


@pytest.fixture(scope="module", params=["memory", "redis", "redis cluster"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a node's tallies, by its name."""
    if request.param == "memory":
        counts = MemoryCounts()
        yield lambda node: MemoryTallies(node, counts)
        return
    servers = RedisServer if request.param == "redis" else RedisCluster
    with servers() as server:
        yield lambda node: RedisTallies(server.url, node=node, prefix="test")


@pytest.fixture
async def nodes(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Tallies]]:
    """Three."""
    be_patient(monkeypatch)
    nodes = [connect(name) for name in ("a", "b", "c")]
    for node in nodes:
        await node.open(lambda: None)
        await until_up(node)
    yield nodes
    for node in nodes:
        await node.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a count that nobody has used before."""
    return f"user:这 {request.node.name}"


async def test_what_a_node_has_noted_all_know(nodes: list[Tallies], name: str) -> None:
    nodes[0].note(name, 2)
    nodes[1].note(name, 3)
    held = await until_held(nodes[2], name, 5)
    assert sorted(held.values()) == [2, 3]
    assert held == await until_held(nodes[0], name, 5)


async def test_what_was_noted_before_is_in_the_answer(nodes: list[Tallies], name: str) -> None:
    for count in range(1, 100):
        nodes[0].note(name, count)
        assert list((await nodes[0].held([name]))[name].values()) == [count]


async def test_the_last_number_counts_and_none_is_no_node(nodes: list[Tallies], name: str) -> None:
    nodes[0].note(name, 1)
    nodes[0].note(name, 7)
    await until_held(nodes[1], name, 7)
    nodes[0].note(name, 0)
    assert await until_held(nodes[1], name, 0) == {}


async def test_many_names_in_one_question(nodes: list[Tallies], name: str) -> None:
    names = [f"{name} {number}" for number in range(1_000)]
    for number, one in enumerate(names):
        nodes[0].note(one, number)
    await until_held(nodes[1], names[-1], 999)
    held = await nodes[1].held(names[-200:])
    assert [sum(held[one].values()) for one in names[-200:]] == list(range(800, 1_000))
    assert await nodes[1].held([]) == {}


async def test_many_questions_at_once(nodes: list[Tallies], name: str) -> None:
    nodes[0].note(name, 4)
    await until_held(nodes[1], name, 4)
    answers = await asyncio.gather(*(nodes[1].held([name]) for _ in range(500)))
    assert all(sum(answer[name].values()) == 4 for answer in answers)


async def test_acts_count_on_all_nodes(nodes: list[Tallies], name: str) -> None:
    assert (await acted(nodes[0], name, 60_000))[0] == 1
    assert (await acted(nodes[1], name, 60_000))[0] == 2
    for _ in range(4):
        nodes[2].act(name, 60_000, lambda total, left: None)
    assert (await acted(nodes[2], name, 60_000))[0] == 7
    total, left = await acted(nodes[0], name, 60_000)
    assert total == 8
    assert 0 < left <= 60_000


async def test_a_window_begins_with_its_first_act_and_ends(nodes: list[Tallies], name: str) -> None:
    assert (await acted(nodes[0], name, 60))[0] == 1
    async with asyncio.timeout(20):
        while (await acted(nodes[1], name, 60))[0] > 1:  # noqa: ASYNC110 - time is all that there is to wait for
            await asyncio.sleep(0.02)


async def test_closing_notes_what_waits_and_may_happen_twice(nodes: list[Tallies], name: str) -> None:
    nodes[0].note(name, 9)
    await nodes[0].close()
    await nodes[0].close()
    await until_held(nodes[1], name, 9)
    assert not nodes[1].failed
