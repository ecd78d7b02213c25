"""PostgreSQL gone, stalled, full or in the way: Unavailable in time, nothing half done, and well again by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, text

from realtime.ports import Duplicate, KeyClaim, Unavailable, Written
from realtime.stores.postgres import PostgresStore
from realtime.stores.transaction import Transaction
from rooms import events as e
from tests.realtime.stores.building import NOW, talk
from tests.realtime.stores.postgres_building import SOON_MS, MakeStore, batch, serves, whole
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import empty, migrated, postgres_store


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One of these tests' own, to be killed."""
    with PostgresServer() as it:
        yield it


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> str:
    return migrated(server)


@pytest.fixture
async def make_store(server: PostgresServer, database: str) -> AsyncIterator[MakeStore]:
    made: list[PostgresStore] = []

    def make(**options: Any) -> PostgresStore:
        made.append(postgres_store(server, database, **options))
        return made[-1]

    yield make
    for store in made:
        await store.close()
    empty(server, database)


async def refused_everything(store: PostgresStore) -> None:
    answers = await asyncio.gather(
        store.append(batch("r1", 1)),
        store.append_all([batch("r1", 1), batch("r2", 1), batch("r3", 1)]),
        store.save_profile("ann", "Anne", None),
        store.mark_read("ann", "r1", 1),
        store.load("r1"),
        store.search("r1", "ann", "hello", before=None, limit=9, from_pos=1),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 6


async def test_a_server_that_is_killed(make_store: MakeStore, server: PostgresServer) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    server.kill()
    await refused_everything(store)
    with pytest.raises(Unavailable):
        await make_store().open()
    server.start()
    await serves(store)


async def test_a_server_that_was_restarted_unnoticed(make_store: MakeStore, server: PostgresServer) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    await whole(store, "r1", events=1)
    server.kill()
    server.start()
    await serves(store)


async def test_a_server_that_is_stalled(make_store: MakeStore, server: PostgresServer) -> None:
    patient, store = make_store(), make_store(timeout_ms=SOON_MS)
    for one in (patient, store):
        await one.open()
    await talk(patient)
    server.stall()
    try:
        await refused_everything(store)
        with pytest.raises(Unavailable):
            await make_store(timeout_ms=SOON_MS).open()
    finally:
        server.resume()
    await serves(patient)
    while True:  # its time is little on a busy machine
        with suppress(Unavailable):
            appended = await store.append(batch("r1", 2))
            break
    assert appended.results == (Written({"pos": 3, "at": NOW}),)
    await whole(patient, "r1", events=3)


async def test_a_server_that_refuses(make_store: MakeStore, server: PostgresServer, database: str) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")  # noqa: S608
    await refused_everything(store)
    server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    await serves(store)


async def test_what_cannot_be_opened_is_named(server: PostgresServer) -> None:
    for name, says in (("nowhere", "nowhere"), ("latin", "UTF8")):
        if name == "latin":
            server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        store = postgres_store(server, name)
        with pytest.raises(Unavailable, match=says):
            await store.open()
        await store.close()


# In the middle of a transaction


async def test_a_connection_cut_in_the_middle_of_a_transaction(make_store: MakeStore, server: PostgresServer) -> None:
    store = make_store()
    await store.open()
    await talk(store)

    def cut(tx: Transaction) -> None:
        tx.append([batch("r1", 1)])
        tx.flush()
        server.execute(f"SELECT pg_terminate_backend({tx.raw.info.backend_pid})")

    with pytest.raises(Unavailable):
        await store.run(cut, of="r1", rooms=("r1",))
    await serves(store)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_connection_cut_while_reading(make_store: MakeStore, server: PostgresServer, times: int) -> None:
    """Reading is done once more, where the connection was not a new one."""
    store = make_store(read_connections=1)
    await store.open()
    await talk(store)
    await whole(store, "r1", events=1)
    cuts = iter(range(times))

    def count(connection: Connection) -> int:
        if next(cuts, None) is not None:
            server.execute(f"SELECT pg_terminate_backend({connection.scalar(text('SELECT pg_backend_pid()'))})")
        return int(connection.execute(text("SELECT count(*) FROM rooms")).scalar_one())

    if times == 1:
        assert await store._readers.read(count) == 1
    else:
        with pytest.raises(Unavailable):
            await store._readers.read(count)
    await serves(store)


@pytest.fixture
def failing(server: PostgresServer, database: str) -> Iterator[Callable[[str, int], None]]:
    """Makes the next so many insertions of messages fail with an SQLSTATE."""
    server.execute("CREATE SEQUENCE tries", database)

    def fail(state: str, times: int) -> None:
        server.execute(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}'; END IF; "
            "RETURN NEW; END $$; "
            "CREATE TRIGGER fail BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()",
            database,
        )

    yield fail
    server.execute("DROP FUNCTION fail CASCADE; DROP SEQUENCE tries", database)


@pytest.mark.parametrize("state", ["53100", "53200", "58030", "57014", "25006", "XX001"])
async def test_a_disk_that_is_full_and_the_like(
    make_store: MakeStore, failing: Callable[[str, int], None], state: str
) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    failing(state, 2)
    with pytest.raises(Unavailable, match="made to fail"):
        await store.append(batch("r1", 1))
    with pytest.raises(Unavailable, match="made to fail"):
        await store.append_all([batch("r1", 1)])
    await serves(store)


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_transaction_in_whose_way_another_came_is_done_again(
    make_store: MakeStore, failing: Callable[[str, int], None], state: str
) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    failing(state, 3)
    await serves(store)
    assert [record.kind for _, record in await store.outbox(9)] == ["room", "message"]


async def test_killed_under_load_what_was_acknowledged_stands_once(
    make_store: MakeStore, server: PostgresServer
) -> None:
    """Senders repeat with the same key until they are told, as clients do: also what was lost at the commit."""
    store = make_store(timeout_ms=5_000, write_lanes=4)
    await store.open()
    rooms = [f"r{i}" for i in range(6)]
    for name in rooms:
        await talk(store, name)
    positions: dict[str, list[int]] = {name: [] for name in rooms}
    enough = asyncio.Event()

    async def sender(name: str) -> None:
        i = 0
        while not enough.is_set():
            i += 1
            key = KeyClaim("ann", name, f"{i}", b"body")
            while True:
                try:
                    (result,) = (await store.append(batch(name, max(positions[name], default=1), f"{i}", key))).results
                except Unavailable:
                    await asyncio.sleep(0.01)
                    continue
                assert isinstance(result, Written | Duplicate)
                positions[name].append(result.reply["pos"])
                break

    async def progress() -> None:
        """Each room has been written to since."""
        before = {name: len(given) for name, given in positions.items()}
        async with asyncio.timeout(60):
            while any(len(positions[name]) < before[name] + 5 for name in rooms):  # noqa: ASYNC110 - many senders
                await asyncio.sleep(0.01)

    senders = [asyncio.create_task(sender(name)) for name in rooms]
    for _ in range(3):
        await progress()
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await progress()
    enough.set()
    await asyncio.gather(*senders)
    for name in rooms:
        count = len(positions[name])
        assert positions[name] == list(range(2, count + 2))
        log = await store.events(name, after=1, to=100_000, limit=100_000)
        said = [x.message.text for x in log if isinstance(x, e.MessageCreated) and x.message]
        assert said == [str(i) for i in range(1, count + 1)]
        await whole(store, name, events=count + 1)
