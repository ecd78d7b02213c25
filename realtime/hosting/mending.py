"""After the broker was away: what users' connections here were not told of is asked of the store.

Who has logged out everywhere meanwhile is sent away; unread counts and memberships become the store's again, as do the
names of those whom the rooms here know.
"""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import Protocol

import structlog

from realtime import ports
from realtime.hosting.aftermath import Aftermath
from realtime.hosting.directory import Directory
from realtime.hosting.users import Users
from rooms.actors import By

log = structlog.get_logger("realtime.mending")

TOGETHER = 256
"""Users of one question."""
RETRY_SECONDS = 1.0


class Surroundings(Protocol):
    store: ports.Store
    directory: Directory
    users: Users
    aftermath: Aftermath


class Mending:
    """`ask` may be called at any time: what is under way then is begun anew when it is done."""

    def __init__(self, around: Surroundings):
        self._around = around
        self._asked = asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.mend()
            except ports.Unavailable as error:
                log.debug("mending_waits", error=str(error))
                self._asked.set()
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("mending_failed")

    async def mend(self) -> None:
        """Raises Unavailable."""
        users = iter(list(self._around.users.online))
        while some := list(islice(users, TOGETHER)):
            await self._end_sessions(some)
            await self._around.users.reread(some)
        for room in list(self._around.directory.hosts):
            await self._mend_names(room)

    async def _end_sessions(self, users: Collection[str]) -> None:
        # Who arrives meanwhile looks again (`Service.arrive`).
        self._around.users.ends += 1
        for user, profile in (await self._around.store.profiles(users)).items():
            self._around.users.end_older(user, profile.valid_after)

    async def _mend_names(self, room: str) -> None:
        host = self._around.directory.hosts.get(room)
        people = iter(list(host.room.people) if host is not None else ())
        while some := list(islice(people, TOGETHER)):
            profiles = await self._around.store.profiles(some)
            host = self._around.directory.hosts.get(room)
            if host is None:
                return
            for user, profile in profiles.items():
                person = host.room.people.get(user)
                if person is not None and (person.name, person.avatar) != (profile.name, profile.avatar):
                    self._around.aftermath.renamed(room, By(user, profile.name, "", profile.avatar))
