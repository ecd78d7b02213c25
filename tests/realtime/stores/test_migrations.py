"""A database of the first schema is carried over whole."""

from pathlib import Path

import msgspec
import pytest

from realtime.ports import Duplicate, KeyClaim
from realtime.stores.head import words_id
from realtime.stores.migrate import upgrade
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.sqlite_driver import engine
from rooms import commands as c
from rooms import events as e
from rooms.records import Record
from rooms.settings import Settings
from tests.realtime.stores.building import ANN, NOW, Talk
from tests.realtime.stores.conftest import MakeStore

RECORDS = [Record(id=f"r1/{n}/0", kind="message", room="r1", pos=n, at=NOW, user="ann") for n in range(1, 4)]
SAID = {2: "first words", 3: "second words"}


def encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.fixture
async def store(make_store: MakeStore, tmp_path: Path) -> SQLiteStore:
    """Opened on a database as the first version left it: a room with two messages, and records that wait."""
    settings = Settings()
    info = e.RoomInfo("r1", "group", "Room", "public", settings)
    rows: list[tuple[str, tuple[object, ...]]] = [
        (
            "INSERT INTO rooms VALUES (1, 'r1', 'group', 'Room', 'public', ?, 0, ?, 'epoch', 1, 3, 0, 2, 1, ?)",
            (encoded(settings), NOW, NOW),
        ),
        ("INSERT INTO users(id, name, folded) VALUES ('ann', 'Ann', 'ann')", ()),
        ("INSERT INTO room_users VALUES (1, 'ann', 3, 1, ?, 0, 0, 3, 2)", (NOW,)),
        (
            "INSERT INTO events VALUES (1, 1, 'room.created', ?, 'ann', 'owner', NULL, NULL, ?)",
            (NOW, encoded({"room_info": info})),
        ),
    ]
    for pos, text in SAID.items():
        rows += [
            ("INSERT INTO events VALUES (1, ?1, 'message.created', ?2, 'ann', 'owner', ?1, NULL, NULL)", (pos, NOW)),
            (
                "INSERT INTO messages VALUES (1, ?, ?, ?, 'ann', 'owner', ?, NULL, NULL, NULL)",
                (pos, pos - 1, NOW, text),
            ),
            ("INSERT INTO search(rowid, text) VALUES (?, ?)", (words_id(1, pos), text)),
        ]
    rows.append(("INSERT INTO keys VALUES ('ann', 'r1', 'k', ?, ?, ?)", (b"body", encoded({"pos": 2}), NOW)))
    rows += [("INSERT INTO outbox(record) VALUES (?)", (encoded(record),)) for record in RECORDS]
    with engine(tmp_path / "galaxy.db").connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        upgrade(connection, "0001")
        for sql, parameters in rows:
            connection.exec_driver_sql(sql, parameters)
        connection.exec_driver_sql("COMMIT")
    store = make_store()
    await store.open()
    return store


async def found(store: SQLiteStore, query: str) -> list[int]:
    page = await store.search("r1", "ann", query, before=None, limit=9, from_pos=1)
    return [message.pos for message in page.messages]


async def test_records_that_wait_are_offered_in_order(store: SQLiteStore) -> None:
    assert [record for _, record in await store.outbox(10)] == RECORDS
    await store.taken((await store.outbox(1))[0][0])
    assert [record for _, record in await store.outbox(10)] == RECORDS[1:]


async def test_claimed_keys_stay_claimed(store: SQLiteStore) -> None:
    assert await store.duplicate(KeyClaim("ann", "r1", "k", b"body")) == Duplicate({"pos": 2})
    await store.forget_keys(NOW + 1)
    assert await store.duplicate(KeyClaim("ann", "r1", "k", b"body")) is None


async def test_the_log_reads_as_before_and_goes_on(store: SQLiteStore) -> None:
    loaded = await store.load("r1")
    assert loaded is not None
    room = Talk(store, loaded.room)
    assert await room.send(ANN, "third words") == 4
    log = await store.events("r1", after=0, to=9, limit=9)
    assert [event.pos for event in log] == [1, 2, 3, 4]
    assert [x.message.text for x in log if isinstance(x, e.MessageCreated) and x.message] == [
        *SAID.values(),
        "third words",
    ]


async def test_what_was_indexed_is_found_until_it_is_deleted(store: SQLiteStore) -> None:
    assert await found(store, "words") == [3, 2]
    loaded = await store.load("r1")
    assert loaded is not None
    room = Talk(store, loaded.room)
    await room.send(ANN, "third words")
    await room.do(ANN, c.MessageDelete(room="r1", target=2))
    assert await found(store, "words") == [4, 3]
