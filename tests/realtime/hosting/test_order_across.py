"""What another node wrote after this node's own events is told after them, however early it is heard of."""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.ports.carried import Committed
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from tests.support.service import make_service

ANN = Actor(user="ann", name="Ann")
BOB = Actor(user="bob", name="Bob")


class Slow:
    """A store whose commits are told of only when `go_on` is set; `written` is set once there is one."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.written = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append_all(self, batches: Sequence[ports.Batch]) -> Sequence[ports.Appended | Exception]:
        outcomes = await self._store.append_all(batches)
        self.written.set()
        await self.go_on.wait()
        return outcomes


async def test_own_events_come_before_those_written_after_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(1_700_000_000_000).__next__
    slow: Any = Slow(SQLiteStore(tmp_path / "galaxy.db", clock))
    here, there = make_service(slow, clock), make_service(SQLiteStore(tmp_path / "galaxy.db", clock), clock)
    await here.start()
    await there.start()
    made = await here.answer(ANN, c.RoomCreate(kind="live", title="Live", visibility="public"))
    room: str = made["room"].id
    told: list[int] = []

    def publish(_room: str, events: Iterable[Any], **_: object) -> None:
        told.extend(event.pos for event in events)

    monkeypatch.setattr(here.hub, "publish", publish)
    slow.written.clear()
    slow.go_on.clear()
    mine = asyncio.create_task(here.answer(ANN, c.MessageSend(room=room, text="mine")))
    await slow.written.wait()
    theirs = await there.answer(BOB, c.MessageSend(room=room, text="theirs"))
    events = await slow.events(room, after=2, to=3, limit=1)
    epoch = here.directory.hosts[room].epoch
    here.following.heard("there", ports.room_topic(room), [Committed(epoch, tuple(events))])
    slow.go_on.set()
    assert ((await mine)["pos"], theirs["pos"]) == (2, 3)
    await here.settle()
    assert told == [2, 3]
    await here.close()
    await there.close()
