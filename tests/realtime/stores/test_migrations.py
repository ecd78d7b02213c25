"""A database of the first schema is carried over whole."""

from pathlib import Path

import msgspec
import pytest

from realtime.stores.driver import engine
from realtime.stores.migrate import upgrade
from rooms.records import Record
from tests.realtime.stores.building import NOW
from tests.realtime.stores.conftest import MakeStore

RECORDS = [Record(id=f"r1/{n}/0", kind="message", room="r1", pos=n, at=NOW, user="ann") for n in range(1, 4)]


@pytest.fixture
def old(tmp_path: Path) -> None:
    """A database as the first version left it."""
    with engine(tmp_path / "galaxy.db").connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        upgrade(connection, "0001")
        for record in RECORDS:
            connection.exec_driver_sql("INSERT INTO outbox(record) VALUES (?)", (msgspec.json.encode(record).decode(),))
        connection.exec_driver_sql("COMMIT")


@pytest.mark.usefixtures("old")
async def test_records_that_wait_are_offered_in_order(make_store: MakeStore) -> None:
    store = make_store()
    await store.open()
    assert [record for _, record in await store.outbox(10)] == RECORDS
    await store.taken((await store.outbox(1))[0][0])
    assert [record for _, record in await store.outbox(10)] == RECORDS[1:]
