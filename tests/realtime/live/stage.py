"""A service with a live room, media processes as they would be reached, and a clock to turn."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from realtime.hosting.service import Service
from realtime.live.gate import Gate
from realtime.live.rooms import LiveSettings
from realtime.live.secrets import Secrets
from realtime.stores.sqlite import SQLiteStore
from relay.engine import Running
from relay.ports import Admitted, Claim, Destination, Reason, Refused
from rooms import commands as c
from rooms.actors import Actor
from rooms.decide import Limits
from rooms.events import Logged
from tests.support.service import make_service

NOW = 1_795_367_182_123
ROOM = "r1"
OWNER = Actor(user="ann", name="Ann", kyc=True)
BOB = Actor(user="bob", name="Bob")
EVE = Actor(user="eve", name="Eve")
ROOT = Actor(user="root", name="Root", admin=True)
SETTINGS = LiveSettings(Secrets("a secret of forty characters, for tests."))


class Media:
    """What is asked of media and edge processes here."""

    node = "https://edge.example.com"

    def __init__(self, *processes: str):
        self.processes: Collection[str] = processes
        self.stopped: list[tuple[str, str, str]] = []
        self.fences: list[int] = []
        """Of those stopped."""
        self.running: tuple[Running, ...] | Refused = ()
        self.pushed: list[tuple[str, str, tuple[str, ...]]] = []
        self.removed: list[tuple[str, str]] = []
        self.refreshed: list[str] = []
        self.changed: list[str] = []
        """Rooms of which other recordings may be read."""
        self.over: list[tuple[str, str, str]] = []
        self.public: list[tuple[str, str, str, bool]] = []
        self.deleted: list[str] = []

    async def stop(self, process: str, room: str, fence: int, reason: Reason) -> None:
        self.stopped.append((process, room, reason))
        self.fences.append(fence)

    async def publishers(self, process: str) -> tuple[Running, ...]:
        if isinstance(self.running, Refused):
            raise self.running
        return self.running

    async def make_public(self, process: str, room: str, session: str, record: bool) -> None:
        self.public.append((process, room, session, record))

    async def push_to(self, process: str, room: str, destinations: tuple[Destination, ...]) -> None:
        self.pushed.append((process, room, tuple(one.url for one in destinations)))

    async def remove_viewer(self, room: str, user: str) -> None:
        self.removed.append((room, user))

    async def ended(self, room: str, session: str, reason: Reason) -> None:
        self.over.append((room, session, reason))

    async def refresh(self, room: str) -> None:
        self.refreshed.append(room)

    async def recordings_changed(self, room: str) -> None:
        self.changed.append(room)

    async def delete(self, folder: str) -> None:
        self.deleted.append(folder)


class Stage:
    """`now` is the time; a step of it comes with no wait."""

    def __init__(self, folder: Path, *, limits: Limits | None = None, **more: Any):
        self.now = NOW
        self.store = SQLiteStore(folder / "galaxy.db", lambda: self.now)
        self.service: Service = make_service(
            self.store, lambda: self.now, live=SETTINGS, limits=limits or Limits(), **more
        )
        self.live = self.service.live
        self.media = Media("one")
        self.live.reach = self.media

    async def start(self) -> None:
        await self.service.start()

    async def room(self) -> None:
        make = c.RoomCreate(kind="live", title="Room", visibility="public", room=ROOM)
        await self.service.answer(Actor(user=OWNER.user, name=OWNER.name, admin=True, kyc=True), make)

    async def do(self, actor: Actor, command: c.AnyCommand) -> dict[str, Any]:
        return await self.service.answer(actor, command, asked_at="chat.example.com:8080")

    def gate(self, process: str = "one") -> Gate:
        return self.live.gate(process)

    async def claim(self, actor: Actor = OWNER) -> Claim:
        return Claim("rtmp", "192.0.2.1", key=(await self.do(actor, c.LiveKey(room=ROOM)))["key"])

    async def log(self) -> list[Logged]:
        host = await self.service.directory.host(ROOM)
        assert host is not None
        return await self.store.events(ROOM, after=0, to=host.room.pos, limit=1_000)

    async def lives(self) -> list[str]:
        """The types of the log's events about lives, with their reasons."""
        return [
            " ".join(filter(None, (str(event.__struct_config__.tag), getattr(event, "reason", None))))
            for event in await self.log()
            if str(event.__struct_config__.tag).startswith("live.")
        ]

    async def lapse(self, seconds: float = 0) -> None:
        """So much later, what is due is done."""
        self.now += round(seconds * 1_000)
        await self.live.closing.close_due()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - done in a task of its own
            await asyncio.sleep(0.005)


async def flow(stage: Stage, process: str = "one") -> int:
    """A publisher that is seen. Returns its fence."""
    admitted = await stage.gate(process).admit(await stage.claim())
    await stage.gate(process).flowing(ROOM, admitted.session, admitted.fence)
    return admitted.fence


def running(admitted: Admitted, *, flowing: bool = True) -> tuple[Running, ...]:
    return (Running(ROOM, admitted.session, admitted.fence, admitted.test, flowing),)
