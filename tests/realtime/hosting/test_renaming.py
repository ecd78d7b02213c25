"""Who changes their name twice is known by the later one, however the store answers."""

import asyncio
from pathlib import Path
from typing import Any

from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner", admin=True)


class Gated:
    """A store that is slow to say, the first time, where somebody is a member."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def memberships(self, user: str) -> list[str]:
        if not self.asked.is_set():
            self.asked.set()
            await self.gate.wait()
        return await self._store.memberships(user)


async def test_the_later_of_two_names_is_told_last(tmp_path: Path) -> None:
    gated = Gated(SQLiteStore(tmp_path / "galaxy.db"))
    store: Any = gated
    service = make_service(store, lambda: 1_700_000_000_000)
    await service.start()
    try:
        await service.answer(OWNER, c.RoomCreate(kind="group", title="R", visibility="public", room="r"))
        await service.check_profile(OWNER, None)
        await service.check_profile(Actor(user="ann", name="One"), None)
        await service.answer(Actor(user="ann", name="One"), c.MemberJoin(room="r"))
        first = asyncio.create_task(service.check_profile(Actor(user="ann", name="Two"), None))
        await gated.asked.wait()
        second = asyncio.create_task(service.check_profile(Actor(user="ann", name="Three"), None))
        await asyncio.wait({second}, timeout=0.2)  # It must not come through; if it did, it would have by then.
        gated.gate.set()
        await asyncio.gather(first, second)
        assert (await gated.profiles(["ann"]))["ann"].name == "Three"
        person = service.directory.hosts["r"].room.people["ann"]
        assert person is not None
        assert person.name == "Three"
    finally:
        await service.close()
