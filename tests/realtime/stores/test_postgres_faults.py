"""PostgreSQL gone, stalled, full or in the way: Unavailable in time, nothing half done, and well again by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from realtime.ports import Appended, Batch, Duplicate, KeyClaim, Proposal, Unavailable, Written
from realtime.stores.postgres import PostgresStore
from realtime.stores.transaction import Transaction
from rooms import events as e
from tests.realtime.stores.building import ANN, BOB, NOW, message, talk
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import empty, migrated, postgres_store

SOON_MS = 2_000
MakeStore = Callable[..., PostgresStore]


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


def batch(room: str, base: int, text: str = "hello", key: KeyClaim | None = None) -> Batch:
    return Batch(room, base, 0, NOW, (Proposal((message(room, base + 1, ANN, text, base),), (), key, {}, True, True),))


async def whole(store: PostgresStore, room: str, *, events: int) -> None:
    """The log is gapless, and its projections agree."""
    log = await store.events(room, after=0, to=10_000, limit=10_000)
    assert [event.pos for event in log] == list(range(1, events + 1))
    loaded = await store.load(room)
    assert loaded is not None
    assert (loaded.room.pos, loaded.room.n) == (events, sum(isinstance(x, e.MessageCreated) for x in log))


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


async def serves(store: PostgresStore) -> None:
    """At the first try: what was cut meanwhile is noticed before anything is written."""
    await whole(store, "r1", events=1)
    assert (await store.append(batch("r1", 1))).results == (Written({"pos": 2, "at": NOW}),)
    await whole(store, "r1", events=2)


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


# Others in the way


async def test_a_room_that_is_locked_delays_its_lane_only(
    make_store: MakeStore, server: PostgresServer, database: str
) -> None:
    patient, store = make_store(), make_store(timeout_ms=SOON_MS, waiting_writes=8)
    for one in (patient, store):
        await one.open()
    names = {store._lane(name): name for name in (f"r{i}" for i in range(20))}
    (here, other) = names.values()
    for name in names.values():
        await talk(patient, name)
    with server.locked(f"SELECT 1 FROM rooms WHERE id = '{here}' FOR UPDATE", database):  # noqa: S608
        blocked = [asyncio.create_task(store.append(batch(here, 1))) for _ in range(20)]
        answers = await store.append_all([batch(here, 1), batch(other, 1)])
        assert isinstance(answers[0], Unavailable)
        assert isinstance(answers[1], Appended)
        refused = await asyncio.gather(*blocked, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in refused)
    assert any("too much" in str(one) for one in refused)
    await whole(patient, here, events=1)
    await whole(patient, other, events=2)
    await patient.append(batch(here, 1))
    await whole(patient, here, events=2)


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


async def test_records_that_were_not_seen_are_not_taken(
    make_store: MakeStore, server: PostgresServer, database: str
) -> None:
    """The lane that took its number first may commit last."""
    store = make_store()
    await store.open()
    await talk(store)
    ((number, _),) = await store.outbox(9)
    await talk(store, "r2", BOB)
    assert [record.room for _, record in await store.outbox(9)] == ["r1", "r2"]
    late = f"INSERT INTO outbox (seq, records) SELECT {number} - 1, replace(records, 'r1', 'late') FROM outbox"  # noqa: S608
    server.execute(f"{late} WHERE seq = {number}", database)
    await store.taken(number + 1)
    assert [record.room for _, record in await store.outbox(9)] == ["late"]
