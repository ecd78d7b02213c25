"""Of several processes one drains the outbox, and another does when it has gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from realtime.ports import Written
from realtime.sinks.drain import Drain
from realtime.stores import postgres_outbox
from realtime.stores.postgres import PostgresStore
from rooms.records import Record
from tests.realtime.stores.building import NOW, talk
from tests.realtime.stores.postgres_building import batch
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import empty, postgres_store

MakeNode = Callable[[], Awaitable[PostgresStore]]
TURNS = (
    "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
)


@pytest.fixture
async def node(postgres: PostgresServer, postgres_database: str) -> AsyncIterator[MakeNode]:
    """Opens the store of one more node. The log holds a room `r1`, with a record."""
    made: list[PostgresStore] = []

    async def make() -> PostgresStore:
        made.append(postgres_store(postgres, postgres_database))
        await made[-1].open()
        if len(made) == 1:
            await talk(made[-1])
        return made[-1]

    yield make
    for store in made:
        await store.close()
    empty(postgres, postgres_database)


async def until_given(store: PostgresStore) -> list[Record]:
    async with asyncio.timeout(20):
        while not (found := await store.outbox(9)):  # noqa: ASYNC110 - the turn tells nobody that it is free
            await asyncio.sleep(0.01)
        return [record for _, record in found]


async def test_one_at_a_time_until_it_leaves(node: MakeNode) -> None:
    first, second = await node(), await node()
    for _ in range(3):
        given = await first.outbox(9)
        assert len(given) == 1
        assert await second.outbox(9) == []
    await first.leave_outbox()
    await first.leave_outbox()
    assert await second.outbox(9) == given
    assert await first.outbox(9) == []
    await second.leave_outbox()
    assert await first.outbox(9) == given
    await second.leave_outbox()  # who has no turn gives none back
    assert await second.outbox(9) == []


async def test_another_follows_who_has_closed(node: MakeNode) -> None:
    first, second = await node(), await node()
    given = await first.outbox(9)
    await first.close()
    assert await second.outbox(9) == given


async def test_another_follows_who_has_lost_its_connection(
    node: MakeNode, postgres: PostgresServer, postgres_database: str
) -> None:
    first, second = await node(), await node()
    given = [record for _, record in await first.outbox(9)]
    ((pid,),) = postgres.execute(TURNS, postgres_database)
    postgres.execute(f"SELECT pg_terminate_backend({pid})")
    assert await until_given(second) == given
    assert await first.outbox(9) == []
    await first.taken(1 << 40)  # what its sink has taken is taken, whoever drains now
    assert await second.outbox(9) == []


async def test_another_follows_who_stands_still(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_outbox, "IDLE_SECONDS", 1)
    first, second = await node(), await node()
    given = [record for _, record in await first.outbox(9)]
    assert await until_given(second) == given
    assert await first.outbox(9) == []


class Sink:
    def __init__(self) -> None:
        self.ids: list[str] = []

    async def write(self, records: Sequence[Record]) -> None:
        self.ids += [record.id for record in records]

    async def close(self) -> None:
        pass


async def test_what_all_write_is_drained_once(node: MakeNode) -> None:
    """Three nodes write and drain; the one that drains goes twice, and leaves it to the others."""
    nodes = [await node() for _ in range(3)]
    sinks = [Sink() for _ in nodes]
    drains = [Drain(store, sink, lambda: NOW, rest=0.001, look=0.01) for store, sink in zip(nodes, sinks, strict=True)]
    written = 1

    async def all_drained() -> None:
        async with asyncio.timeout(20):
            while sum(len(sink.ids) for sink in sinks) < written:  # noqa: ASYNC110 - sinks tell nobody
                await asyncio.sleep(0.01)

    for drain in drains:
        drain.start()
    for leaver in (*drains[:2], None):
        for round_ in range(10):
            for store in nodes:
                base = (await store.load("r1")).room.pos  # type: ignore[union-attr]  # it is there
                (result,) = (await store.append(batch("r1", base, f"{round_}"))).results
                assert isinstance(result, Written)
                written += 1
        if leaver is not None:
            await leaver.close()
            await nodes[drains.index(leaver)].leave_outbox()
    await all_drained()
    await drains[2].close()
    ids = [record for sink in sinks for record in sink.ids]
    assert len(ids) == len(set(ids)) == written
    positions = [int(one.split("/")[1]) for one in ids]
    assert positions == sorted(positions)
