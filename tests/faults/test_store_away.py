"""A database that is locked, and a disk that is full: senders hear `unavailable`, nothing is half done, and all goes on
by itself once the cause is gone.
"""

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from realtime.client import Client, CommandError
from tests.faults.kill import ROOM, make_room, whole_log
from tests.support.server import NO_LIMITS, ServerProcess, token

HOLDER = """
import sys
import pysqlite3
database = pysqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process holds the database while this lasts."""
    command = [sys.executable, "-c", HOLDER, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        yield


@contextmanager
def full(server: ServerProcess, database: Path) -> Iterator[None]:
    """No file of the server may grow beyond what the database's log has now."""
    assert server.process is not None
    size = max(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture
async def server(tmp_path: Path) -> ServerProcess:
    return ServerProcess(tmp_path, NO_LIMITS)


async def say(client: Client, text: str) -> int:
    return int((await client.command("message.send", room=ROOM, text=text, key=text[:40]))["pos"])


async def refused(client: Client, text: str) -> CommandError:
    """Says it until the store says no: what still fits is taken."""
    for attempt in range(2_000):
        try:
            await say(client, f"{text} {attempt} " + "x" * 1_900)
        except CommandError as error:
            return error
    raise AssertionError("the store took everything")


@pytest.mark.parametrize("cause", ["locked", "full"])
async def test_unavailable_and_back(server: ServerProcess, cause: str) -> None:
    with server:
        database = server.data / "galaxy.db"
        await make_room(server.url)
        async with (
            Client(server.url, token=token("ann")) as ann,
            Client(server.url, token=token("bob")) as bob,
            bob.room(ROOM) as heard,
        ):
            first = await say(ann, "before")
            with locked(database) if cause == "locked" else full(server, database):
                error = await refused(ann, "meanwhile")
                assert (error.code, error.retry) == ("unavailable", True)
                assert error.retry_after_ms is not None
                # Reading goes on, and shows nothing of what was refused.
                last = max(await whole_log(bob))
                with pytest.raises(CommandError, match="unavailable"):
                    await say(ann, "refused " + "x" * 1_900)
                assert max(await whole_log(bob)) == last
            async with asyncio.timeout(20):
                after = await until_taken(ann, "after")
            assert after == last + 1
            log = await whole_log(bob)
            assert list(log) == list(range(1, after + 1))
            assert log[after] == "after"
            assert not any(text and text.startswith("refused") for text in log.values())
            positions = []
            async for event in heard.events():
                positions += [event.pos] if event.pos is not None else []  # presence has none
                if event.pos == after:
                    break
            assert positions == list(range(first, after + 1))


async def until_taken(client: Client, text: str) -> int:
    """As a client does: again when it is told to."""
    while True:
        try:
            return await say(client, text)
        except CommandError as error:
            if error.code != "unavailable":
                raise
            await asyncio.sleep((error.retry_after_ms or 0) / 1_000)
