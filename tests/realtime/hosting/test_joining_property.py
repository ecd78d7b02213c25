"""Joining has no race, whatever is published, joined, left and recovered meanwhile, and wherever its path waits."""

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.hosting.bounds import Bounds
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from tests.support.forms import JSON_LINES
from tests.support.service import NOTHING_BOUND, make_service

ROOM = "r"
OWNER = Actor(user="owner", name="Owner", admin=True)


class Checker:
    """A listener that checks, as it hears, that positions have no hole, no double and one order."""

    connection = None

    def __init__(self, user: str):
        self.actor = Actor(user=user, name=user)
        self.user = user
        self.form = JSON_LINES
        self.unsent = 0
        self.lagging = False
        self.pos: int | None = None
        self.epoch = ""
        self.joined = False
        self.texts: list[str] = []

    def out(self, frames: bytes) -> None:
        for line in frames.splitlines():
            self.hear(msgspec.json.decode(line))

    def hear(self, event: dict[str, Any]) -> None:
        if event["type"] == "room.skip":
            first, last = event["from"], event["to"]
        elif "pos" in event:
            first = last = event["pos"]
        else:
            return
        assert self.joined, f"{self.user} hears {event} without having joined"
        assert self.pos is not None
        assert first == self.pos + 1, f"{self.user} is at {self.pos} and hears {event}"
        self.pos = last
        if event["type"] == "message.created":
            self.texts.append(event["message"]["text"])

    def on_joined(self, reply: dict[str, Any], since: int | None) -> None:
        self.joined = True
        if reply["recovered"]:
            assert since is not None
            self.pos = since
            for event in reply["events"]:
                self.hear(event)
            assert self.pos == reply["pos"]
        else:
            assert reply["events"] == []
            self.pos = reply["pos"]
        self.epoch = reply["epoch"]

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self.joined = False

    def too_slow(self) -> None:
        raise AssertionError("nothing is slow here")


class Delayed:
    """A store whose every answer takes some more turns of the event loop, before and after."""

    def __init__(self, store: SQLiteStore, chance: random.Random):
        self._store = store
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def delayed(*args: Any, **kwargs: Any) -> Any:
            for _ in range(self._chance.choice((0, 0, 1, 3, 10))):
                await asyncio.sleep(0)
            result = await method(*args, **kwargs)
            for _ in range(self._chance.choice((0, 0, 1, 3, 10, 40))):
                await asyncio.sleep(0)
            return result

        return delayed


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["say", "say", "say", "join", "recover", "recover", "leave", "kick", "ban", "wait"]),
        st.integers(0, 5),
    ),
    min_size=10,
    max_size=60,
)


@given(
    actions=ACTIONS,
    seed=st.integers(0, 2**32 - 1),
    recover_events=st.sampled_from([3, 1_000]),
    comments=st.sampled_from([0, 1]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_hole_no_double_no_disorder(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, int]],
    seed: int,
    recover_events: int,
    comments: int,
) -> None:
    """Also where comments are sampled: nearly all of them are spared then, but to those who said them."""
    bounds = msgspec.structs.replace(
        NOTHING_BOUND, recover_events=recover_events, live_comments_per_second=comments, presence_names=3
    )
    asyncio.run(_play(tmp_path_factory.mktemp("join"), actions, random.Random(seed), bounds))


async def _play(folder: Path, actions: list[tuple[str, int]], chance: random.Random, bounds: Bounds) -> None:
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000)).__next__
    store = SQLiteStore(folder / "galaxy.db", clock)
    delayed: Any = Delayed(store, chance)
    service = make_service(delayed, clock, bounds=bounds)
    await service.start()
    checkers = [Checker(f"u{i}") for i in range(6)]
    said: list[str] = []
    tasks: list[asyncio.Task[None]] = []
    busy: dict[int, asyncio.Task[None]] = {}

    async def say(who: int) -> None:
        text = f"{who} says {len(said)}"
        said.append(text)
        speaker = OWNER if chance.random() < 0.3 else checkers[who].actor
        try:
            await service.answer(speaker, c.MessageSend(room=ROOM, text=text))
        except Rejected as rejected:
            assert rejected.code == "banned"

    async def join(who: int, recover: bool) -> None:
        checker = checkers[who]
        since = c.Since(checker.epoch, checker.pos) if recover and checker.pos is not None else None
        if not recover:
            checker.texts.clear()
        # A client that joins anew counts what it hears from the reply on.
        checker.joined = False
        service.hub.remove(ROOM, checker)
        try:
            await service.joining.join(
                c.RoomJoin(room=ROOM, since=since),
                checker,
                lambda reply: checker.on_joined(reply, since.pos if since else None),
            )
        except Rejected as rejected:
            assert rejected.code == "banned"

    async def send_away(who: int, kind: str) -> None:
        user = checkers[who].user
        command = c.MemberBan(room=ROOM, user=user, seconds=1) if kind == "ban" else c.MemberKick(room=ROOM, user=user)
        try:
            await service.answer(OWNER, command)
        except Rejected as rejected:
            assert rejected.code == "not_found"

    try:
        await service.answer(OWNER, c.RoomCreate(kind="live", title="R", visibility="public", room=ROOM))
        for action, who in actions:
            if action == "say":
                tasks.append(asyncio.create_task(say(who)))
            elif action in ("kick", "ban"):
                tasks.append(asyncio.create_task(send_away(who, action)))
            elif action == "leave":
                if who not in busy or busy[who].done():
                    service.hub.remove(ROOM, checkers[who])
                    checkers[who].joined = False
            elif action in ("join", "recover") and (who not in busy or busy[who].done()):
                busy[who] = asyncio.create_task(join(who, action == "recover"))
                tasks.append(busy[who])
            for _ in range(chance.choice((0, 0, 0, 1, 5, 30)) if action != "wait" else 60):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        await service.settle()
        for channel in list(service.hub.channels.values()):
            service.hub.flush(channel)
        pos = service.directory.hosts[ROOM].room.pos
        for checker in checkers:
            if checker.joined:
                assert checker.pos == pos
                assert service.hub.listening(ROOM, checker)
    finally:
        await service.close()
