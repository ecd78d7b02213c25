"""The migrations make what the schema says, and the log keeps every field that events have."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from realtime.stores import rows
from realtime.stores.migrate import upgrade
from realtime.stores.schema import metadata
from realtime.stores.sqlite_driver import engine
from rooms import events as e
from rooms.actors import By
from rooms.settings import Settings, SettingsPatch
from tests.realtime.stores.building import NOW


def test_migrations_make_the_schema_and_can_run_again(tmp_path: Path) -> None:
    migrated = engine(tmp_path / "galaxy.db")
    with migrated.connect() as connection:
        for _ in range(2):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            connection.exec_driver_sql("COMMIT")
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or not name.startswith("search")}
        )
        assert compare_metadata(context, metadata) == []


def test_a_connection_is_durable_and_erases(tmp_path: Path) -> None:
    with engine(tmp_path / "galaxy.db").connect() as connection:
        asked = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert found == ["wal", 2, 1, 1]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_connection_keeps_few_pages(tmp_path: Path, read_only: bool) -> None:
    """They are full within minutes: what a process holds then is what it holds days later."""
    with engine(tmp_path / "galaxy.db").connect() as writer:
        writer.exec_driver_sql("CREATE TABLE t(x)")
    with engine(tmp_path / "galaxy.db", read_only=read_only).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -2_048  # KiB


class Row(msgspec.Struct):
    """A row of HYDRATED as far as events without a message need it."""

    pos: int
    at: int
    type: str
    author: str
    role: str
    target: int | None
    subject: str | None
    payload: str | None
    name: str | None = "Ann"
    avatar: str | None = None
    subject_name: str | None = "Bob"


_VALUES: dict[str, Any] = {
    "room_info": e.RoomInfo("r1", "live", "T", "private", Settings(slow_seconds=3)),
    "changes": e.RoomChanges(title="T", settings=SettingsPatch(locked=True)),
    "user": "bob",
    "name": "Bob",
    "role": "moderator",
    "until": 5,
    "reason": "because",
    "was_member": False,
    "target": 3,
    "emoji": "👍",
    "session": "s",
    "title": "T",
    "category": "C",
    "mature": True,
    "media": e.Media("whep", "stream", "hls"),
}
_OTHERS = [kind for kind in get_args(e.Logged) if not issubclass(kind, e.MessageEvent)]


@pytest.mark.parametrize("kind", _OTHERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("full", [True, False])
def test_every_field_of_an_event_is_kept(kind: type[e.Logged], full: bool) -> None:
    head: dict[str, Any] = {"room": "r1", "pos": 7, "at": NOW, "by": By("ann", "Ann", "owner")}
    own = [f for f in msgspec.structs.fields(kind) if f.name not in head and (full or f.required)]
    event = kind(**head, **{f.name: _VALUES[f.name] for f in own})
    target, subject = getattr(event, "target", None), getattr(event, "user", None)
    row = Row(7, NOW, rows.TAGS[kind], "ann", "owner", target, subject, rows.payload(event))
    assert rows.event("r1", row) == event
