"""Lanes and readers on PostgreSQL: what is in each other's way, and what must not be."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from realtime.ports import Appended, Batch, Proposal, Unavailable, Written
from realtime.stores.postgres import PostgresStore
from realtime.stores.postgres_driver import PostgresDriver, bounded
from realtime.stores.postgres_statements import PostgresStatements
from tests.realtime.stores.building import ANN, BOB, NOW, message, talk
from tests.realtime.stores.postgres_building import SOON_MS, MakeStore, batch, nobody, serves, whole
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import empty, postgres_store


@pytest.fixture
async def make_store(postgres: PostgresServer, postgres_database: str) -> AsyncIterator[MakeStore]:
    made: list[PostgresStore] = []

    def make(**options: Any) -> PostgresStore:
        made.append(postgres_store(postgres, postgres_database, **options))
        return made[-1]

    yield make
    for store in made:
        await store.close()
    empty(postgres, postgres_database)


async def test_a_fault_of_one_harms_no_other(make_store: MakeStore) -> None:
    store = make_store(write_lanes=1)
    await store.open()
    for name in ("r1", "r2", "r3"):
        await talk(store, name)
    one, two, three = await asyncio.gather(
        store.append(batch("r1", 1)),
        store.append(batch("r2", 1, "\ud800")),
        store.append(batch("r3", 1)),
        return_exceptions=True,
    )
    assert isinstance(one, Appended)
    assert isinstance(two, UnicodeEncodeError)
    assert isinstance(three, Appended)
    await whole(store, "r2", events=1)
    await store.append(batch("r2", 1))
    await whole(store, "r2", events=2)


async def test_a_room_that_is_locked_delays_its_lane_only(
    make_store: MakeStore, postgres: PostgresServer, postgres_database: str
) -> None:
    patient, store = make_store(), make_store(timeout_ms=SOON_MS, waiting_writes=8)
    for one in (patient, store):
        await one.open()
    names = {store._lane(name): name for name in (f"r{i}" for i in range(20))}
    (here, other) = names.values()
    for name in names.values():
        await talk(patient, name)
    with postgres.locked(f"SELECT 1 FROM rooms WHERE id = '{here}' FOR UPDATE", postgres_database):  # noqa: S608
        blocked = [asyncio.create_task(store.append(batch(here, 1))) for _ in range(20)]
        answers = await store.append_all([batch(here, 1), batch(other, 1)])
        assert isinstance(answers[0], Unavailable)
        assert isinstance(answers[1], Appended)
        refused = await asyncio.gather(*blocked, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in refused)
    assert any("too much" in str(one) for one in refused)
    await nobody(postgres, postgres_database, "state LIKE '%in transaction%'")  # who has given up holds nothing
    await whole(patient, here, events=1)
    await whole(patient, other, events=2)
    await patient.append(batch(here, 1))
    await whole(patient, here, events=2)


async def test_a_node_that_stops_within_a_transaction_holds_no_room_for_long(
    make_store: MakeStore, postgres: PostgresServer, postgres_database: str
) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    driver = PostgresDriver(postgres.url(postgres_database), timeout_ms=500)
    with driver.connect(time.monotonic() + 20) as stopped:
        raw = bounded(stopped)
        raw.execute("BEGIN")
        assert PostgresStatements(raw).rooms(["r1"])
        await nobody(postgres, postgres_database, f"pid = {raw.info.backend_pid}")
    await serves(store)


async def test_nodes_that_write_the_same_rooms_and_users_at_once(make_store: MakeStore) -> None:
    """In opposite orders, so that whoever locks as they come would wait for one another."""
    nodes = [make_store(), make_store()]
    names = [f"r{i}" for i in range(8)]
    for node in nodes:
        await node.open()
    for name in names:
        await talk(nodes[0], name)

    def said(name: str, i: int, by: int) -> Batch:
        author = replace(ANN, user=f"user{by}", name=f"User {by}")
        return Batch(name, 1, 0, NOW, (Proposal((message(name, 2, author, f"{i}"),), (), None, {}, True, True),))

    async def writes(store: PostgresStore, order: list[str], step: int) -> None:
        for i in range(10):
            batches = [said(name, i, 100 * i + step * k) for k, name in enumerate(order)]
            for appended in await store.append_all(batches):
                assert isinstance(appended, Appended)
                assert isinstance(appended.results[0], Written)

    await asyncio.gather(writes(nodes[0], names, 1), writes(nodes[1], names[::-1], -1))
    for name in names:
        await whole(nodes[0], name, events=21)


async def test_closing_writes_what_is_queued_and_takes_no_more(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    tasks = [asyncio.create_task(store.append(batch("r1", 1, str(i)))) for i in range(10)]
    await asyncio.sleep(0)
    await store.close()
    assert all(isinstance(one.results[0], Written) for one in await asyncio.gather(*tasks))
    with pytest.raises(Unavailable):
        await store.append(batch("r1", 1))
    with pytest.raises(Unavailable):
        await store.load("r1")
    again = make_store()
    await again.open()
    await whole(again, "r1", events=11)


async def test_records_that_were_not_seen_are_not_taken(
    make_store: MakeStore, postgres: PostgresServer, postgres_database: str
) -> None:
    """The lane that took its number first may commit last."""
    store = make_store()
    await store.open()
    await talk(store)
    ((number, _),) = await store.outbox(9)
    await talk(store, "r2", BOB)
    assert [record.room for _, record in await store.outbox(9)] == ["r1", "r2"]
    late = f"INSERT INTO outbox (seq, records) SELECT {number} - 1, replace(records, 'r1', 'late') FROM outbox"  # noqa: S608
    postgres.execute(f"{late} WHERE seq = {number}", postgres_database)
    await store.taken(number + 1)
    assert [record.room for _, record in await store.outbox(9)] == ["late"]


async def test_a_read_sees_one_moment(make_store: MakeStore, postgres: PostgresServer, postgres_database: str) -> None:
    store = make_store()
    await store.open()
    await talk(store)

    def twice(connection: Connection) -> list[int]:
        counts = [connection.execute(text("SELECT pos FROM rooms")).scalar_one()]
        postgres.execute("UPDATE rooms SET pos = pos + 1", postgres_database)
        return [*counts, connection.execute(text("SELECT pos FROM rooms")).scalar_one()]

    assert await store._readers.read(twice) == [1, 1]


async def test_reading_cannot_write_and_a_fault_is_raised_as_it_is(make_store: MakeStore) -> None:
    store = make_store(read_connections=1)
    await store.open()
    await talk(store)
    with pytest.raises(Unavailable, match="read-only"):
        await store._readers.read(lambda connection: connection.execute(text("DELETE FROM rooms")))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await store._readers.read(lambda _: 1 // 0)
        with pytest.raises(ProgrammingError):
            await store._readers.read(lambda connection: connection.execute(text("SELECT nothing")))
    await serves(store)


async def test_a_read_that_takes_too_long_is_unavailable(make_store: MakeStore) -> None:
    patient, store = make_store(), make_store(timeout_ms=SOON_MS)
    for one in (patient, store):
        await one.open()
    await talk(patient)
    with pytest.raises(Unavailable):
        await store._readers.read(lambda connection: connection.execute(text("SELECT pg_sleep(3600)")))
    await serves(patient)
