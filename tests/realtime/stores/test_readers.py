"""Reading threads: bounded in number and time, in a snapshot, well again after an error."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from realtime.ports import Unavailable
from realtime.stores.readers import Readers
from realtime.stores.sqlite_driver import Reading, engine

_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def count(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one())


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncIterator[Readers]:
    with engine(tmp_path / "t.db").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t(x)")
    it = Readers(Reading(tmp_path / "t.db"), threads=1, limit=2, timeout_ms=200)
    yield it
    await it.close()


async def test_a_read_that_takes_too_long_is_unavailable(readers: Readers) -> None:
    with pytest.raises(Unavailable):
        await readers.read(lambda connection: connection.exec_driver_sql(_ENDLESS).scalar_one())
    assert await readers.read(count) == 0


async def test_waiting_reads_are_bounded(readers: Readers) -> None:
    hold = threading.Event()
    first = asyncio.create_task(readers.read(lambda _: hold.wait(10)))
    second = asyncio.create_task(readers.read(count))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await readers.read(count)
    hold.set()
    assert await first
    assert await second == 0
    assert await readers.read(count) == 0


async def test_a_read_sees_one_moment(readers: Readers, tmp_path: Path) -> None:
    def twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        with engine(tmp_path / "t.db").connect() as other:
            other.exec_driver_sql("INSERT INTO t VALUES (1)")
        return before, count(connection)

    assert await readers.read(twice) == (0, 0)
    assert await readers.read(count) == 1


async def test_reading_cannot_write_and_a_fault_is_raised_as_it_is(readers: Readers) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await readers.read(lambda connection: connection.exec_driver_sql("DELETE FROM t"))
    with pytest.raises(ZeroDivisionError):
        await readers.read(lambda _: 1 // 0)
    assert await readers.read(count) == 0


async def test_closed_readers_are_unavailable(readers: Readers) -> None:
    await readers.close()
    with pytest.raises(Unavailable):
        await readers.read(count)
