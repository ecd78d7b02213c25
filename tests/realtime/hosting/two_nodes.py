"""Two nodes on one log, with one room, and a broker that does as it is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realtime import ports
from realtime.hosting import keeping_up
from realtime.hosting.service import Service
from realtime.ports.carried import Carried
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from tests.support.lossy import LossyBroker, LossyBus
from tests.support.service import make_service
from tests.support.view import View

ROOM = "r"
NOW = 1_700_000_000_000
SECONDS = 20
OWNER = Actor(user="owner", name="Owner", admin=True)
ANN = Actor(user="ann", name="Ann")


class Node:
    def __init__(self, folder: Path, bus: LossyBus):
        self.store = SQLiteStore(folder / "galaxy.db", lambda: NOW)
        self.broker = LossyBroker(bus)
        self.service: Service = make_service(self.store, lambda: NOW, broker=self.broker)
        self.view = View("ann")

    @property
    def pos(self) -> int:
        return self.service.directory.hosts[ROOM].room.pos

    @property
    def counters(self) -> keeping_up.Counters:
        return self.service.keeping_up

    async def say(self, text: str = "hello") -> int:
        return int((await self.service.answer(OWNER, c.MessageSend(room=ROOM, text=text)))["pos"])

    async def listen(self, since: c.Since | None = None) -> dict[str, Any]:
        replies: list[dict[str, Any]] = []

        def reply(shown: dict[str, Any]) -> None:
            replies.append(shown)
            self.view.on_joined(shown, since.pos if since and shown["recovered"] else None)

        await self.service.joining.join(c.RoomJoin(room=ROOM, since=since), self.view, reply)
        return replies[0]

    def hear(self, *messages: Carried) -> None:
        self.service.following.heard("another", ports.room_topic(ROOM), messages)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - looked at after whatever happens
            await asyncio.sleep(0.001)
