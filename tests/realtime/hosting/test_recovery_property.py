"""What is recovered from a room's ring is what the store would give, for any history, viewer and position."""

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.hosting.recovery import Recovery
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, Role, Viewer
from rooms.errors import Rejected
from rooms.events import Logged
from rooms.settings import SettingsPatch
from rooms.visibility import shown
from tests.support.forms import JSON_LINES
from tests.support.service import NOTHING_BOUND, make_service

ROOM = "r"
OWNER = Actor(user="owner", name="Owner", admin=True)
USERS = ["ann", "bob", "cat", "dan"]
EXPECTED = {"not_found", "banned", "muted", "forbidden", "not_member", "exists", "duplicate_text", "too_many"}

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("say", "reply", "edit", "delete"),
                *("say", "reply", "edit", "delete", "react", "pin"),
                *("join", "part", "mute", "kick", "ban", "unban", "promote", "rename", "from_join", "stranger"),
                *("recover", "recover", "recover", "forget", "wait", "wait"),
            ]
        ),
        st.integers(0, len(USERS) - 1),
        st.integers(0, 30),
    ),
    min_size=20,
    max_size=70,
)


class Late:
    """A store whose reads of the log take some turns of the event loop, before and after."""

    def __init__(self, store: SQLiteStore, chance: random.Random):
        self._store = store
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        for _ in range(self._chance.choice((0, 1, 10))):
            await asyncio.sleep(0)
        found = await self._store.events(room, after=after, to=to, limit=limit)
        for _ in range(self._chance.choice((0, 1, 30, 200))):
            await asyncio.sleep(0)
        return found


@given(actions=ACTIONS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ring_is_as_the_store(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int, int]], seed: int
) -> None:
    asyncio.run(_play(tmp_path_factory.mktemp("ring"), actions, random.Random(seed)))


class Play:
    def __init__(self, service: Service, recovery: Recovery, chance: random.Random):
        self.service = service
        self.recovery = recovery
        self.chance = chance
        self.actors = {user: Actor(user=user, name=user.title()) for user in USERS}

    async def act(self, action: str, who: int, number: int) -> None:
        actor = self.actors[USERS[who]]
        await self.service.check_profile(actor, None)  # As whoever connects.
        host = self.service.directory.hosts[ROOM]
        if action == "rename":
            avatar = "a.png" if number % 2 else None
            self.actors[actor.user] = Actor(user=actor.user, name=f"{actor.user} {number}", avatar=avatar)
            await self.service.check_profile(self.actors[actor.user], None)
        elif action == "forget":
            self.service.rings.drop(ROOM)
        elif action == "recover":
            await self.recovery.reach(host, min(number, host.room.pos), Viewer("x", Role.NONE))
        elif action != "wait":
            by, command = self.command(action, actor, max(1, host.room.pos - number), number)
            try:
                await self.service.answer(by, command)
            except Rejected as rejected:
                assert rejected.code in EXPECTED, rejected

    def command(self, action: str, actor: Actor, target: int, number: int) -> tuple[Actor, Any]:
        user = actor.user
        text = f"text {self.chance.random()} " * self.chance.choice((1, 1, 40))
        match action:
            case "say":
                return actor, c.MessageSend(room=ROOM, text=text)
            case "reply":
                return actor, c.MessageSend(room=ROOM, text=text, reply_to=target)
            case "edit":
                return actor, c.MessageEdit(room=ROOM, target=target, text=text)
            case "delete":
                return OWNER, c.MessageDelete(room=ROOM, target=target, reason="why" if number % 2 else None)
            case "react":
                return actor, c.MessageReact(room=ROOM, target=target, emoji="👍")
            case "pin":
                return OWNER, c.MessagePin(room=ROOM, target=target)
            case "join":
                return actor, c.MemberJoin(room=ROOM)
            case "part":
                return actor, c.MemberLeave(room=ROOM)
            case "mute":
                return OWNER, c.MemberMute(room=ROOM, user=user, seconds=1, reason="why")
            case "kick":
                return OWNER, c.MemberKick(room=ROOM, user=user, reason="why")
            case "ban":
                return OWNER, c.MemberBan(room=ROOM, user=user, seconds=1, reason="why", purge_seconds=number + 1)
            case "unban":
                return OWNER, c.MemberUnban(room=ROOM, user=user)
            case "promote":
                return OWNER, c.MemberRole(room=ROOM, user=user, role="moderator")
            case "from_join":
                history: Any = "from_join" if number % 2 else "visible"
                return OWNER, c.RoomUpdate(room=ROOM, settings=SettingsPatch(history=history))
            case _:
                return OWNER, c.MemberMute(room=ROOM, user=f"{user} who never came", reason="why")


async def _play(folder: Path, actions: list[tuple[str, int, int]], chance: random.Random) -> None:
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000, 100)).__next__
    store = SQLiteStore(folder / "galaxy.db", clock)
    late: Any = Late(store, chance)
    service = make_service(late, clock, bounds=msgspec.structs.replace(NOTHING_BOUND, recover_events=200))
    await service.start()
    try:
        await service.answer(OWNER, c.RoomCreate(kind="group", title="R", visibility="public", room=ROOM))
        await service.answer(OWNER, c.RoomUpdate(room=ROOM, settings=SettingsPatch(write="everyone")))
        # One who has a name, and is nowhere yet.
        await service.check_profile(Actor(user="dan who never came", name="Daniel"), None)
        recovery = Recovery(late, service.rings, service.retention, 10_000_000)
        play = Play(service, recovery, chance)
        tasks = []
        for action in actions:
            tasks.append(asyncio.create_task(play.act(*action)))
            for _ in range(chance.choice((0, 0, 1, 20, 200))):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        await service.settle()
        await _compare(service, recovery, store)
    finally:
        await service.close()


async def _compare(service: Service, recovery: Recovery, store: SQLiteStore) -> None:
    host = service.directory.hosts[ROOM]
    pos = host.room.pos
    log = await store.events(ROOM, after=0, to=pos, limit=pos)
    viewers = [Viewer(user, role) for user in (*USERS, "x") for role in (Role.NONE, Role.MODERATOR)]
    viewers += [Viewer(user, Role.MEMBER, first) for user in ("ann", "x") for first in range(2, pos + 2, 3)]
    ring = service.rings.get(ROOM)
    if ring is not None:
        # What it has followed, before the rest is read.
        for event in log[ring.after :]:
            assert ring.events[event.pos] == event
    await recovery.reach(host, 0, viewers[0])
    for viewer in viewers:
        for after in range(0, pos + 1, 2):
            expected = [msgspec.json.decode(msgspec.json.encode(event)) for event in shown(log[after:], viewer)]
            assert recovery.at_hand(host, after, viewer)
            assert recovery.past(host, after, viewer, JSON_LINES) == expected
    ring = service.rings.get(ROOM)
    assert ring is not None
    held = ring.size
    ring.trim(0, 0)
    assert held > ring.size == 1_024
    assert service.rings.bytes == held
