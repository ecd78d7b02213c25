"""Backups made while people talk, everything lost, and brought back by the commands of docs/operations.md."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from realtime.client import Client
from tests.deploy.commands import commands
from tests.faults.kill import ROOM, make_room, whole_log
from tests.faults.test_store_away import until_taken
from tests.support.peer import WAIT
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess, token

SOME = 100
"""Messages."""


def run(script: str, environ: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | dict(environ or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Talk:
    """Somebody who talks without end: `said` is what was acknowledged, position → text."""

    def __init__(self, client: Client):
        self.said: dict[int, str] = {}
        self._client = client
        self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        for number in range(1_000_000):
            text = f"message {number}"
            self.said[await until_taken(self._client, text)] = text

    async def more(self) -> dict[int, str]:
        """Waits for SOME more messages, while it goes on. Returns all that was said by then."""
        enough = len(self.said) + SOME
        async with asyncio.timeout(4 * WAIT):
            while len(self.said) < enough:
                done, _ = await asyncio.wait([self._task], timeout=0.01)
                assert not done, self._task
        return dict(self.said)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def talked(server: ServerProcess, backup: Callable[[], Awaitable[None]]) -> tuple[dict[int, str], dict[int, str]]:
    """Makes a backup while somebody talks, then kills the server. Returns what was said before it, and at all."""
    with server:
        await make_room(server.url)
        async with Client(server.url, token=token("ann")) as ann:
            talk = Talk(ann)
            before = await talk.more()
            await backup()
            await talk.more()
            await talk.stop()
        server.kill()
    return before, talk.said


async def holds(server: ServerProcess, kept: dict[int, str], said: dict[int, str]) -> None:
    """The log is whole, has what was kept and nothing that was not said, lacks what came last, and goes on."""
    with server:
        async with Client(server.url, token=token("bob")) as bob:
            log = await whole_log(bob)
            assert list(log) == list(range(1, len(log) + 1))
            texts = {pos: text for pos, text in log.items() if text}
            assert kept.items() <= texts.items()
            assert texts.items() <= said.items()
            assert len(texts) < len(said)
            reply = await bob.command("message.send", key="after", room=ROOM, text="afterwards")
            assert reply["pos"] == len(log) + 1
            found = await bob.command("message.search", room=ROOM, query="message")
            assert found["messages"]


async def test_sqlite(tmp_path: Path) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    backups.mkdir()
    here = {"/var/lib/galaxy-live": str(data), "/var/backups": str(backups), "-o galaxy-live -g galaxy-live ": ""}

    async def backup() -> None:
        await asyncio.to_thread(run, commands("Backup", "sqlite3", here))

    server = ServerProcess(data, NO_LIMITS)
    before, said = await talked(server, backup)
    shutil.rmtree(data)
    data.mkdir()
    run(commands("Restore", "install", here))
    await holds(server, before, said)


async def test_postgresql_by_dump(postgres: PostgresServer, tmp_path: Path) -> None:
    name = postgres.new_database()
    environ = {"PGHOST": str(postgres.folder), "PGUSER": "postgres"}
    here = {"/var/backups": str(tmp_path), "=galaxy ": f"={name} ", " galaxy\n": f" {name}\n"}

    async def backup() -> None:
        await asyncio.to_thread(run, commands("Backup", "pg_dump", here), environ)

    server = ServerProcess(tmp_path / "data", NO_LIMITS | {"GALAXY_STORE__URL": postgres.url(name)})
    before, said = await talked(server, backup)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    run(commands("Restore", "pg_restore", here), environ)
    await holds(server, before, said)


@pytest.fixture
def archiving(tmp_path: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL server whose write-ahead log goes to `archive` in its folder."""
    with PostgresServer() as server:
        archive = server.folder / "archive"
        archive.mkdir()
        handed_over(archive, server)
        server.execute("ALTER SYSTEM SET archive_mode = on")
        server.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
        server.kill()
        server.start()
        yield server


def handed_over(folder: Path, server: PostgresServer) -> None:
    """PostgreSQL's own user owns the folder, as all of the server's."""
    owner = server.folder.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


async def test_postgresql_by_archived_log(archiving: PostgresServer, tmp_path: Path) -> None:
    name = archiving.new_database()
    archive, base = archiving.folder / "archive", archiving.folder / "galaxy-base"
    kept: dict[int, str] = {}

    server = ServerProcess(tmp_path / "data", NO_LIMITS | {"GALAXY_STORE__URL": archiving.url(name)})
    with server:
        await make_room(server.url)
        async with Client(server.url, token=token("ann")) as ann:
            talk = Talk(ann)
            await talk.more()
            environ = {"PGHOST": str(archiving.folder), "PGUSER": "postgres"}
            script = commands("Backup", "pg_basebackup", {"/var/backups": str(archiving.folder)})
            await asyncio.to_thread(run, script, environ)
            kept = await talk.more()
            ((segment,),) = archiving.execute("SELECT pg_walfile_name(pg_switch_wal())")
            async with asyncio.timeout(WAIT):
                while not (archive / str(segment)).exists():  # noqa: ASYNC110 - nobody tells us
                    await asyncio.sleep(0.02)
            await talk.more()
            await talk.stop()
        server.kill()
    archiving.kill()
    shutil.rmtree(archiving.data)
    base.rename(archiving.data)
    with (archiving.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\n")
    (archiving.data / "recovery.signal").touch()
    handed_over(archiving.data, archiving)
    archiving.start()
    async with asyncio.timeout(4 * WAIT):
        while archiving.execute("SELECT pg_is_in_recovery()") != [(False,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await holds(server, kept, talk.said)
