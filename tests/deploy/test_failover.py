"""PostgreSQL's primary is lost, and a synchronous standby takes over: nothing acknowledged is missing."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from realtime.client import Client
from tests.deploy.test_backup import Talk, handed_over
from tests.faults.kill import make_room, whole_log
from tests.support.peer import WAIT
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess, token


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Follows the primary, whose commits wait for it."""
    server = PostgresServer()
    source = f"host={primary.folder} user=postgres application_name=standby1"
    command = ["pg_basebackup", "--pgdata", str(server.data), "--write-recovery-conf", "--checkpoint=fast"]
    with ExitStack() as stack:
        stack.push(server)
        subprocess.run([*command, "--dbname", source], check=True)
        handed_over(server.data, server)
        server.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby1, standby2)'")
        primary.execute("SELECT pg_reload_conf()")
        yield server


async def test_nothing_acknowledged_is_lost(primary: PostgresServer, standby: PostgresServer, tmp_path: Path) -> None:
    name = primary.new_database()
    hosts = f"host={primary.folder},{standby.folder}&target_session_attrs=read-write"
    store = {"GALAXY_STORE__URL": f"postgresql://postgres@/{name}?{hosts}", "GALAXY_STORE__TIMEOUT_MS": "2000"}
    async with asyncio.timeout(4 * WAIT):
        while primary.execute("SELECT sync_state FROM pg_stat_replication") != [("quorum",)]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    with ServerProcess(tmp_path, NO_LIMITS | store) as server:
        await make_room(server.url)
        async with Client(server.url, token=token("ann")) as ann, asyncio.timeout(120):
            talk = Talk(ann)
            await talk.more()
            await asyncio.to_thread(primary.kill)
            standby.execute("SELECT pg_promote()")
            await talk.more()
            await talk.stop()
            log = await whole_log(ann)
            assert list(log) == list(range(1, len(log) + 1))
            assert talk.said.items() <= log.items()
