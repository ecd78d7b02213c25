"""A process whose files may grow no further (RLIMIT_FSIZE), and one that is killed in the middle of its work."""

import asyncio
import signal
import sys
from pathlib import Path

from realtime.stores.sqlite import SQLiteStore
from rooms import events as e
from rooms.room import Room

_FULL = """
import asyncio, pathlib, resource, sys
from realtime.ports import Unavailable
from realtime.stores.sqlite import SQLiteStore
from tests.realtime.stores.building import ANN, talk

async def main():
    folder = pathlib.Path(sys.argv[1])
    store = SQLiteStore(folder / "galaxy.db")
    await store.open()
    room = await talk(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 50_000, hard))
    sent = failures = 0
    while failures < 3:
        try:
            await room.send(ANN, "long " * 200)
            sent += 1
        except Unavailable:
            failures += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for _ in range(5):
        await room.send(ANN, "long " * 200)
    loaded = await store.load("r1")
    events = await store.events("r1", after=0, to=10_000, limit=10_000)
    assert [event.pos for event in events] == list(range(1, sent + 7)), (sent, len(events))
    assert loaded.room.n == sent + 5
    await store.close()
    print("recovered", sent)

asyncio.run(main())
"""

_LOAD = """
import asyncio, pathlib, sys
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from tests.realtime.stores.building import ANN, Talk, talk

async def main():
    store = SQLiteStore(pathlib.Path(sys.argv[1]) / "galaxy.db")
    await store.open()

    async def chat(name):
        loaded = await store.load(name)
        room = Talk(store, loaded.room) if loaded else await talk(store, name)
        for i in range(100_000):
            pos = await room.send(ANN, f"{name} {i}")
            if i % 3 == 0:
                await room.do(ANN, c.MessageEdit(room=name, target=pos, text="edited"))
            if i % 5 == 0:
                await room.do(ANN, c.MessageReact(room=name, target=pos, emoji="\\U0001f44d"))
            if i % 7 == 0:
                await room.do(ANN, c.MessageDelete(room=name, target=pos))
            print(name, room.room.pos, flush=True)

    await asyncio.gather(*(chat(f"r{i}") for i in range(4)))

asyncio.run(main())
"""


async def start(script: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(folder), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )


async def test_a_full_disk_is_unavailable_until_there_is_room(tmp_path: Path) -> None:
    process = await start(_FULL, tmp_path)
    assert process.stdout is not None
    said = await process.stdout.read()
    assert await process.wait() == 0
    assert said.startswith(b"recovered")


async def test_killed_under_load_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    for round_number in range(3):
        process = await start(_LOAD, tmp_path)
        assert process.stdout is not None
        for _ in range(80 + 40 * round_number):
            name, pos = (await process.stdout.readline()).split()
            acknowledged[name.decode()] = int(pos)
        process.send_signal(signal.SIGKILL)
        for line in (await process.stdout.read()).splitlines(keepends=True):
            if line.endswith(b"\n"):
                name, pos = line.split()
                acknowledged[name.decode()] = int(pos)
        await process.wait()
        store = SQLiteStore(tmp_path / "galaxy.db")
        await store.open()
        for room, last in acknowledged.items():
            await check(store, room, last)
        await store.close()


async def check(store: SQLiteStore, room: str, acknowledged: int) -> None:
    """The log is gapless and holds what was acknowledged; what is stored beside it follows from it."""
    events = await store.events(room, after=0, to=1_000_000, limit=1_000_000)
    assert [event.pos for event in events] == list(range(1, len(events) + 1))
    assert len(events) >= acknowledged
    folded = Room(room)
    folded.apply_all(events)
    loaded = await store.load(room)
    assert loaded is not None
    now = loaded.room
    assert (now.pos, now.n, now.members, now.staff, now.people) == (
        folded.pos, folded.n, folded.members, folded.staff, folded.people,
    )  # fmt: skip
    found = await store.find(room, messages=list(folded.messages))
    assert found.messages == folded.messages
    records = {record.id for _, record in await store.outbox(1_000_000)}
    assert {f"{room}/{event.pos}/0" for event in events if not isinstance(event, e.MemberUnmuted)} <= records
