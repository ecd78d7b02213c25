"""`galaxy-live db` on both databases, beside the real server, killed half-way, and without a database."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from realtime.app import make_store
from realtime.cli import main
from realtime.cli_db import DAY_MS
from realtime.config import load
from realtime.stores.common import SQLStore
from rooms import commands as c
from rooms.room import Room
from tests.realtime.gateway.test_endpoint_rooms import make, say, since, spans
from tests.realtime.stores.building import ANN, BOB, Talk, actor
from tests.support.peer import greeted
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, serving, token

HEAD = "0010"


class Place(Struct):
    """Where a database is: in the settings of the environment, which commands take theirs from."""

    data: Path
    url: str

    async def store(self) -> SQLStore:
        """Opened; a test closes it."""
        store = make_store(load(None, os.environ))
        await store.open()
        return store

    @property
    def settings(self) -> dict[str, str]:
        return NO_LIMITS | ({"GALAXY_STORE__URL": self.url} if self.url else {})


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A database that is not there yet, or is empty."""
    url = ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
        monkeypatch.setenv("GALAXY_STORE__URL", url)
    monkeypatch.setenv("GALAXY_SERVER__DATA", str(tmp_path))
    return Place(tmp_path, url)


@pytest.fixture
async def full(place: Place) -> Place:
    """30 rooms, each with 20 messages of twelve days ago, and one of today."""
    store = await place.store()
    for number in range(30):
        await fill(store, f"r{number}")
    await store.close()
    return place


async def fill(store: SQLStore, name: str) -> None:
    room = Talk(store, Room(name))
    now = time.time_ns() // 1_000_000
    room.now = now - 12 * DAY_MS
    admin = actor("ann", admin=True)
    await room.do(admin, c.RoomCreate(kind="group", title="Room", visibility="public", room=name))
    for batch in range(20):
        await room.send(ANN, f"old message {batch}")
    room.now = now
    await room.do(BOB, c.MemberJoin(room=name))
    await room.send(BOB, "recent message")


async def db(*arguments: str) -> int:
    """The command's exit code."""
    return await asyncio.to_thread(main, ["db", *arguments])


async def test_migrating(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert await db("migrate") == 0
    assert capsys.readouterr().out == f"The schema is at revision {HEAD} now; before: no schema\n"
    assert await db("migrate") == 0
    assert capsys.readouterr().out == f"The schema is up to date: revision {HEAD}\n"


async def test_several_migrate_at_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.gather(*(db("migrate") for _ in range(4))) == [0] * 4
    said = sorted(capsys.readouterr().out.splitlines())
    assert said == [
        f"The schema is at revision {HEAD} now; before: no schema",
        *[f"The schema is up to date: revision {HEAD}"] * 3,
    ]


async def test_pruning(full: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert await db("prune", "--days", "13") == 0
    assert "Deleted 0 events" in capsys.readouterr().out
    assert await db("prune", "--days", "11", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "r7: first_pos 1 -> 22" in lines
    assert lines[-1].startswith("Would delete 630 events from before 20")
    monkeypatch.setenv("GALAXY_STORE__KEEP_DAYS", "11")
    assert await db("prune") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Deleted 630 events")
    assert await db("verify") == 0
    assert capsys.readouterr().out == "OK: 30 rooms, 60 events, 30 messages\n"


def prune_and_kill(told: int) -> None:
    """Kills the command when it has told of so many rooms."""
    command = [sys.executable, "-m", "realtime.cli", "db", "prune", "--days", "11"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(told):
            assert "first_pos 1 -> 22" in process.stdout.readline()
        process.kill()


async def test_pruning_that_is_killed_is_gone_on_with(full: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for told in (1, 4, 9):
        await asyncio.to_thread(prune_and_kill, told)
        assert await db("verify") == 0
    capsys.readouterr()
    assert await db("prune", "--days", "11") == 0
    left = int(capsys.readouterr().out.splitlines()[-1].split()[1])
    assert left % 21 == 0  # rooms are short: each goes in one transaction
    assert left <= 630 - (1 + 4 + 9) * 21
    assert await db("verify") == 0
    assert capsys.readouterr().out == "OK: 30 rooms, 60 events, 30 messages\n"


async def age(place: Place, pos: int) -> None:
    """All before a position becomes ten days older."""
    store = await place.store()
    for table in ("events", "messages"):
        statement = f"UPDATE {table} SET at = at - {10 * DAY_MS} WHERE pos < {pos}"  # noqa: S608
        await store.run(lambda tx, sql=statement: tx.core.exec_driver_sql(sql))  # type: ignore[misc]
    await store.close()


async def test_pruning_beside_a_server(place: Place) -> None:
    async with (
        serving(place.data, place.settings) as server,
        greeted(server.url, token("ann")) as ann,
        greeted(server.url, token("bob")) as bob,
    ):
        room = await make(ann)
        joined = await ann.ok("room.join", room=room)
        await say(ann, room, *"abcdefgh")
        await age(place, 6)
        assert await db("prune", "--days", "9") == 0
        page = await bob.ok("room.events", room=room, after=0)
        assert (page["first_pos"], spans(page["events"])) == (6, [6, 7, 8, 9])
        lost = await bob.ok("room.join", room=room, since=since(joined, 2))
        assert (lost["recovered"], lost["first_pos"], lost["events"]) == (False, 6, [])
        kept = await bob.ok("room.join", room=room, since=since(joined, 5))
        assert (kept["recovered"], spans(kept["events"])) == (True, [6, 7, 8, 9])
        await say(ann, room, "on it goes")
        heard = await bob.take(pos=10)
        assert heard["message"]["n"] == 9
    assert await db("verify") == 0


async def test_a_new_epoch_makes_clients_begin_anew(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(place.data, place.settings) as server, greeted(server.url, token("ann")) as ann:
        rooms = [await make(ann), await make(ann)]
        before = [await ann.ok("room.join", room=room) for room in rooms]
        for room in rooms:
            await say(ann, room, "hello")
    assert await db("new-epoch", "--room", rooms[0], "--yes") == 0
    assert capsys.readouterr().out.endswith("New epochs: 1 rooms\n")
    async with serving(place.data, place.settings) as server, greeted(server.url, token("ann")) as ann:
        joins = [
            await ann.ok("room.join", room=room, since=since(was)) for room, was in zip(rooms, before, strict=True)
        ]
        assert [(joined["recovered"], spans(joined["events"])) for joined in joins] == [(False, []), (True, [2])]
        assert joins[0]["epoch"] != before[0]["epoch"]
        assert (await ann.ok("room.join", room=rooms[0], since=since(joins[0], 1)))["recovered"] is True
    assert await db("new-epoch", "--yes") == 0
    assert capsys.readouterr().out.endswith("New epochs: 2 rooms\n")
    assert await db("verify") == 0


async def test_a_new_epoch_wants_to_be_confirmed(
    full: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await db("new-epoch") == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert await db("new-epoch") == 1
    assert "Nothing was changed" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    assert await db("new-epoch") == 0
    printed = capsys.readouterr().out
    assert "MANDATORY" in printed
    assert "New epochs: 30 rooms" in printed


class Terminal:
    def isatty(self) -> bool:
        return True


async def test_problems_are_printed_with_room_and_position(full: Place, capsys: pytest.CaptureFixture[str]) -> None:
    store = await full.store()
    await store.run(lambda tx: tx.core.exec_driver_sql("DELETE FROM messages WHERE pos = 5"))
    await store.close()
    assert await db("verify", "--room", "r3") == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "r3 pos 5: no events from here to 5"
    assert printed.err == "2 problems in 1 rooms, 22 events, 20 messages\n"
    assert await db("verify") == 1
    assert "60 problems in 30 rooms" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["verify", "--room", "x"], ["new-epoch", "--yes", "--room", "x"]])
async def test_a_room_that_is_not_there(full: Place, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert await db(*command) == 1
    assert capsys.readouterr().err == "galaxy-live db: there is no room 'x'\n"


ALL: list[list[str]] = [["prune", "--days", "1"], ["verify"], ["new-epoch", "--yes"]]


@pytest.mark.parametrize("command", ALL)
async def test_without_a_database_file(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await db(*command, "--data", str(tmp_path)) == 1
    assert f"there is no database {tmp_path}/galaxy.db" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", [["migrate"], *ALL])
async def test_a_file_that_is_no_database(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "galaxy.db").write_bytes(b"no database" * 1_000)
    assert await db(*command, "--data", str(tmp_path)) == 1
    assert "file is not a database" in capsys.readouterr().err


async def test_a_damaged_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store: Any = make_store(load(None, {"GALAXY_SERVER__DATA": str(tmp_path)}))
    await store.open()
    for number in range(20):
        await fill(store, f"r{number}")
    await store.close()
    content = (tmp_path / "galaxy.db").read_bytes()
    page = content.index(b"old message 7") // 4_096 * 4_096
    (tmp_path / "galaxy.db").write_bytes(content[:page] + bytes(4_096) + content[page + 4_096 :])
    assert await db("verify", "--data", str(tmp_path)) == 1
    assert "database: the file: " in capsys.readouterr().out


@pytest.mark.parametrize("command", [["migrate"], *ALL])
async def test_a_server_that_is_not_there(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GALAXY_STORE__URL", "postgresql://ann:secret@127.0.0.1:1/galaxy")
    assert await db(*command) == 1
    error = capsys.readouterr().err
    assert error.startswith("galaxy-live db: the store cannot be opened: ")
    assert "secret" not in error


async def test_a_server_that_says_nothing(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GALAXY_STORE__URL", postgres.url(postgres.new_database()))
    monkeypatch.setenv("GALAXY_STORE__TIMEOUT_MS", "500")
    assert await db("migrate") == 0
    postgres.stall()
    try:
        assert await db("prune", "--days", "1") == 1
    finally:
        postgres.resume()
    assert "has not answered in time" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "-1", "x"])
def test_how_many_days(days: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["db", "prune", "--days", days])
    assert ended.value.code == 2
    assert "--days" in capsys.readouterr().err
    assert main(["db", "prune", "--data", str(tmp_path)]) == 1
    assert "[store] keep_days" in capsys.readouterr().err
