"""The writing thread: one commit for what waits, faults kept apart, disks that fill and files that are locked."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.ports import Appended, Batch, Proposal, Unavailable, Written
from realtime.stores.sqlite import SQLiteStore
from rooms import events as e
from tests.realtime.stores.building import ANN, NOW, Talk, message, talk
from tests.realtime.stores.conftest import MakeStore

_HOLD = """
import pysqlite3, sys
held = pysqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another process holds the database's lock meanwhile."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLD, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    yield
    holder.stdin.close()
    await holder.wait()


def batch(room: str, base: int, text: str = "hello") -> Batch:
    return Batch(room, base, 0, NOW, (Proposal((message(room, base + 1, ANN, text, base),), (), None, {}, True, True),))


async def whole(store: SQLiteStore, *, events: int) -> None:
    """The log of r1 is gapless, and its projections agree."""
    log = await store.events("r1", after=0, to=10_000, limit=10_000)
    assert [event.pos for event in log] == list(range(1, events + 1))
    loaded = await store.load("r1")
    assert loaded is not None
    assert (loaded.room.pos, loaded.room.n) == (events, sum(isinstance(x, e.MessageCreated) for x in log))


async def test_what_waits_together_is_one_commit(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    for i in range(20):
        await talk(store, f"r{i}")
    before = store.commits
    appended = await asyncio.gather(*(store.append(batch(f"r{i}", 1)) for i in range(20)))
    assert all(isinstance(one.results[0], Written) for one in appended)
    assert 1 <= store.commits - before < 20


async def test_a_fault_of_one_harms_no_other(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    for name in ("r1", "r2", "r3"):
        await talk(store, name)
    broken = batch("r2", 1, "\ud800")
    one, two, three = await asyncio.gather(
        store.append(batch("r1", 1)), store.append(broken), store.append(batch("r3", 1)), return_exceptions=True
    )
    assert isinstance(one, Appended)
    assert isinstance(two, UnicodeEncodeError)
    assert isinstance(three, Appended)
    assert len(await store.events("r2", after=0, to=9, limit=9)) == 1
    await store.append(batch("r2", 1))
    await whole(store, events=2)


async def test_a_locked_database_is_unavailable_until_it_is_not(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store(busy_ms=20)
    await store.open()
    await talk(store)
    async with locked(tmp_path / "galaxy.db"):
        with pytest.raises(Unavailable):
            await store.append(batch("r1", 1))
        with pytest.raises(Unavailable):
            await store.append_all([batch("r1", 1), batch("r1", 2)])
        with pytest.raises(Unavailable):
            await store.save_profile("ann", "Anne", None)
        await whole(store, events=1)
    assert (await store.append(batch("r1", 1))).results == (Written({"pos": 2, "at": NOW}),)
    await whole(store, events=2)


async def test_opening_a_locked_database_is_unavailable(make_store: MakeStore, tmp_path: Path) -> None:
    first = make_store()
    await first.open()
    second = make_store(busy_ms=20)
    async with locked(tmp_path / "galaxy.db"):
        with pytest.raises(Unavailable):
            await second.open()
    await second.open()
    await talk(second)


async def test_the_queue_is_bounded(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store(busy_ms=300, waiting_writes=2)
    await store.open()
    await talk(store)
    async with locked(tmp_path / "galaxy.db"):
        results = await asyncio.gather(*(store.append(batch("r1", 1)) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in results)
    assert sum("too much" in str(one) for one in results) >= 17
    await whole(store, events=1)


async def test_a_file_that_may_not_grow_is_unavailable_until_it_may(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    await talk(store)
    limit = await store.run(lambda tx: int(tx.raw.execute("PRAGMA max_page_count").fetchone()[0]))
    await store.run(lambda tx: tx.raw.execute("PRAGMA max_page_count=1").fetchone())
    base, failed = 1, 0
    while not failed:
        try:
            await store.append(batch("r1", base, "long " * 200))
            base += 1
        except Unavailable:
            failed = base
    await whole(store, events=base)
    with pytest.raises(Unavailable):
        await store.append(batch("r1", base, "long " * 2_000))
    await store.run(lambda tx: tx.raw.execute(f"PRAGMA max_page_count={limit}").fetchone())
    await store.append(batch("r1", base, "long " * 2_000))
    await whole(store, events=base + 1)


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
    await whole(again, events=11)


async def test_a_room_goes_on_after_an_unavailable_store(make_store: MakeStore, tmp_path: Path) -> None:
    """What its host knows still holds: nothing of a failed append was written."""
    store = make_store(busy_ms=20)
    await store.open()
    room: Talk = await talk(store)
    async with locked(tmp_path / "galaxy.db"):
        with pytest.raises(Unavailable):
            await room.send(ANN, "lost")
    assert await room.send(ANN, "kept") == 2
    await whole(store, events=2)


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be taken for one" * 100])
async def test_what_is_no_database_is_unavailable(make_store: MakeStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "galaxy.db").write_bytes(content)
    with pytest.raises(Unavailable):
        await make_store().open()


async def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "none" / "galaxy.db")
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()
