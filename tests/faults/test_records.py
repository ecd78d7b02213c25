"""Interaction records of two servers on one log: written once, and by the other one when the first is killed."""

import asyncio
import json
from pathlib import Path

from realtime.client import Client
from tests.faults.kill import ROOM, make_room
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess, token

ROOMS = (ROOM, "other")


def written(folder: Path) -> list[str]:
    """Ids of the records of messages, as they stand in the files; a line that is being written does not count."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]
    return [record["id"] for record in map(json.loads, lines) if record["kind"] == "message"]


async def all_written(folder: Path, expected: set[str]) -> list[str]:
    async with asyncio.timeout(30):
        while not expected <= set(found := await asyncio.to_thread(written, folder)):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.05)
        return found


async def say(client: Client, room: str, count: int) -> set[str]:
    """Returns the ids of the records."""
    replies = [await client.command("message.send", room=room, text=f"{n}") for n in range(count)]
    return {f"{room}/{reply['pos']}/0" for reply in replies}


async def test_another_server_goes_on_when_the_one_that_drains_is_killed(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = NO_LIMITS | {"GALAXY_STORE__URL": postgres.url(postgres.new_database())}
    with ServerProcess(tmp_path, settings) as first, ServerProcess(tmp_path, settings) as second:
        await make_room(first.url)
        async with (
            Client(first.url, token=token("ann")) as ann,
            Client(second.url, token=token("bob", roles=["admin"])) as bob,
        ):
            await bob.command("room.create", kind="live", title="Other", visibility="public", room=ROOMS[1])
            both = await asyncio.gather(say(ann, ROOMS[0], 50), say(bob, ROOMS[1], 50))
            before = set().union(*both)
            assert len(before) == 100
            found = await all_written(tmp_path / "records", before)
            assert sorted(found) == sorted(before), "each once"
            last = await say(ann, ROOMS[0], 50)
            await asyncio.to_thread(first.kill)
            after = await say(bob, ROOMS[1], 50)
            found = await all_written(tmp_path / "records", before | last | after)
            assert set(found) == before | last | after
            assert sorted(one for one in found if one in after) == sorted(after), "each once"
