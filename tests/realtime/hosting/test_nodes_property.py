"""Several nodes on one log, and a broker that loses, repeats, reorders and goes away: all see what the log holds.

Whatever is said, changed and forbidden on any node by anybody, and however commits end, in the end each listener's view
is the log, each room in memory is what the log makes of it, and nobody who was sent away still listens.
"""

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime import ports
from realtime.hosting import following, keeping_up
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.events import MessageCreated
from rooms.room import FOREVER, Room
from rooms.settings import SettingsPatch
from tests.realtime.hosting.test_state_property import shape
from tests.support.lossy import LossyBroker, LossyBus
from tests.support.service import make_service
from tests.support.view import View

ROOM = "r"
OWNER = Actor(user="owner", name="Owner", admin=True)
USERS = 5
SETTLED_SECONDS = 20.0
"""After which nodes that still differ from the log have failed."""


class Ambiguous:
    """A store that now and then does not say what has become of a commit, or refuses to begin."""

    def __init__(self, store: SQLiteStore, chance: random.Random):
        self._store = store
        self._chance = chance
        self.fails = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append_all(self, batches: Any) -> Any:
        fails = self._chance.random() if self.fails else 1.0
        if fails < 0.03:
            raise ports.Unavailable("not begun", 10)
        outcomes = await self._store.append_all(batches)
        # Others may hear of it, and go on, before this node knows.
        await asyncio.sleep(self._chance.choice((0, 0, 0.002, 0.01)))
        if fails < 0.08:
            raise ports.Unavailable("perhaps committed", 10)
        return outcomes


KINDS = (
    *("say",) * 6,
    *("join", "recover", "leave", "member", "part", "edit", "edit", "delete", "key"),
    *("kick", "ban", "unban", "mute", "role", "settings", "down", "up", "wait"),
)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, USERS - 1), st.integers(0, 2), st.integers(0, 40)),
    min_size=10,
    max_size=60,
)


@given(
    actions=ACTIONS,
    nodes=st.integers(2, 3),
    seed=st.integers(0, 2**32 - 1),
    most_read=st.sampled_from([3, 4_096]),
    visibility=st.sampled_from(["public", "private"]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_every_node_shows_the_log(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, int, int, int]],
    nodes: int,
    seed: int,
    most_read: int,
    visibility: Any,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping_up, "HOLE_SECONDS", 0.002)
        patch.setattr(keeping_up, "AGAIN_SECONDS", 0.01)
        patch.setattr(keeping_up, "MOST_READ", most_read)
        patch.setattr(following, "ALIVE_SECONDS", 0.02)
        asyncio.run(Play(tmp_path_factory.mktemp("nodes"), nodes, random.Random(seed), visibility).run(actions))


class Play:
    def __init__(self, folder: Path, nodes: int, chance: random.Random, visibility: Any):
        self.chance = chance
        self.visibility = visibility
        clock = itertools.count(1_700_000_000_000, 7).__next__
        self.bus = LossyBus(chance)
        self.stores: list[Any] = [
            Ambiguous(SQLiteStore(folder / "galaxy.db", clock), random.Random(chance.random())) for _ in range(nodes)
        ]
        self.brokers = [LossyBroker(self.bus) for _ in range(nodes)]
        self.services = [
            make_service(store, clock, broker=broker) for store, broker in zip(self.stores, self.brokers, strict=True)
        ]
        self.views = [[View(f"u{who}") for who in range(USERS)] for _ in range(nodes)]
        self.acknowledged: dict[int, str] = {}
        self.texts = itertools.count()

    async def run(self, actions: list[tuple[str, int, int, int]]) -> None:
        for service in self.services:
            await service.start()
        try:
            await self.furnish()
            tasks = []
            for kind, who, node, number in actions:
                tasks.append(asyncio.create_task(self.act(kind, who, node % len(self.services), number)))
                await asyncio.sleep(self.chance.choice((0, 0, 0, 0.001, 0.005)))
            await asyncio.gather(*tasks)
            self.bus.lossy = False
            for store in self.stores:
                store.fails = False
            for broker in self.brokers:
                broker.come_back()
            # What was sent while all was well again is all that is heard of the end.
            await self.services[0].answer(OWNER, c.MessageSend(room=ROOM, text="the end"))
            await self.check()
        finally:
            for service in self.services:
                await service.close()

    async def furnish(self) -> None:
        """The room, with all users as members."""
        first = self.services[0]
        for store in self.stores:
            store.fails = False
        await first.answer(OWNER, c.RoomCreate(kind="group", title="R", visibility=self.visibility, room=ROOM))
        invite = await first.answer(OWNER, c.InviteCreate(room=ROOM))
        for view in self.views[0]:
            await first.answer(view.actor, c.InviteAccept(code=invite["code"]))
        for service, views in zip(self.services, self.views, strict=True):
            for view in views[1:]:
                await self.join(service, view, recover=False, number=0)
        for store in self.stores:
            store.fails = True

    async def act(self, kind: str, who: int, node: int, number: int) -> None:
        view, broker = self.views[node][who], self.brokers[node]
        other = f"u{(who + number) % USERS}"
        match kind:
            case "say":
                await self.say(node, view.actor, None)
            case "key":
                nodes = range(len(self.services))
                key, text = f"key {next(self.texts)}", f"{who} says {next(self.texts)}"
                await asyncio.gather(*(self.say(one, view.actor, key, text) for one in nodes))
            case "join" | "recover":
                if view.busy is None or view.busy.done():
                    view.busy = asyncio.current_task()
                    await self.join(self.services[node], view, recover=kind == "recover", number=number)
            case "leave":
                if view.busy is None or view.busy.done():
                    self.services[node].hub.remove(ROOM, view)
                    view.joined = False
            case "down":
                broker.go()
            case "up":
                broker.come_back()
            case "wait":
                await asyncio.sleep(self.chance.choice((0, 0.003, 0.03)))
            case _:
                actor = OWNER if number % 2 else view.actor
                await self.tell(node, actor, COMMANDS[kind](other, number))

    async def tell(self, node: int, actor: Actor, command: Any) -> dict[str, Any]:
        try:
            return await self.services[node].answer(actor, command)
        except Rejected as rejected:
            assert rejected.code != "internal", rejected
            return {}

    async def say(self, node: int, actor: Actor, key: str | None, text: str = "") -> None:
        text = text or f"{actor.user} says {next(self.texts)}"
        reply = await self.tell(node, actor, c.MessageSend(room=ROOM, text=text, key=key))
        if "pos" in reply:
            assert self.acknowledged.setdefault(reply["pos"], text) == text

    async def join(self, service: Service, view: View, *, recover: bool, number: int) -> None:
        """A client comes anew, or with what it has, perhaps from another node."""
        service.hub.remove(ROOM, view)
        view.joined = False
        since = None
        if recover:
            elsewhere = self.views[number % len(self.views)][int(view.user[1:])]
            if elsewhere is not view and (elsewhere.busy is None or elsewhere.busy.done()):
                view.pos, view.epoch = elsewhere.pos, elsewhere.epoch
                view.types, view.texts = dict(elsewhere.types), dict(elsewhere.texts)
            since = c.Since(view.epoch, view.pos) if view.pos is not None else None
        try:
            await service.joining.join(
                c.RoomJoin(room=ROOM, since=since),
                view,
                lambda reply: view.on_joined(reply, since.pos if since else None),
            )
        except Rejected as rejected:
            assert rejected.code in ("banned", "not_found"), rejected

    # In the end

    async def check(self) -> None:
        head = await self.together()
        log = {event.pos: event for event in await self.stores[0].events(ROOM, after=0, to=head, limit=100_000)}
        assert list(log) == list(range(1, head + 1))
        folded = Room(ROOM)
        folded.apply_all(log.values())
        said = Counter(e.message.text for e in log.values() if isinstance(e, MessageCreated) and e.message is not None)
        deleted = {pos for pos, e in log.items() if isinstance(e, MessageCreated) and e.message is None}
        assert all(count == 1 for text, count in said.items() if " says " in text)
        for pos, text in self.acknowledged.items():
            event = log[pos]
            assert isinstance(event, MessageCreated)
            assert pos in deleted or (event.message is not None and event.message.text in (text, "edited"))
        for service, views in zip(self.services, self.views, strict=True):
            room = service.directory.hosts[ROOM].room if ROOM in service.directory.hosts else None
            if room is not None:
                assert shape(room, complete=False) == shape(folded, complete=False)
                for user, person in room.people.items():
                    known = folded.people.get(user)
                    if person is not None:
                        assert known is not None
                        # When somebody last wrote is the store's affair: a condition of the commit holds it.
                        assert msgspec.structs.replace(person, last_at=0) == msgspec.structs.replace(known, last_at=0)
            for view in views:
                assert service.hub.listening(ROOM, view) == view.joined
                if view.joined:
                    assert view.pos == head
                    person = folded.people.get(view.user)
                    assert person is None or person.banned_until < FOREVER
                    assert self.visibility == "public" or (person is not None and person.member)
                    view.check(log)

    async def together(self) -> int:
        """Returns the log's last position once all nodes that have the room at work have come to it."""
        async with asyncio.timeout(SETTLED_SECONDS):
            while True:
                for service in self.services:
                    await service.settle()
                head: int = (await self.stores[0].heads([ROOM]))[ROOM][1]
                hosts = [service.directory.hosts.get(ROOM) for service in self.services]
                tasks = [task for service in self.services for task in service._rechecks]
                if not tasks and all(host is None or (host.room.pos == head and not host.log.unread) for host in hosts):
                    break
                await asyncio.sleep(0.002)
        for service in self.services:
            service.hub.flush_all()
        return head


COMMANDS: dict[str, Any] = {
    "member": lambda other, number: c.MemberJoin(room=ROOM),
    "part": lambda other, number: c.MemberLeave(room=ROOM),
    "edit": lambda other, number: c.MessageEdit(room=ROOM, target=number + 1, text="edited"),
    "delete": lambda other, number: c.MessageDelete(room=ROOM, target=number + 1),
    "kick": lambda other, number: c.MemberKick(room=ROOM, user=other),
    "ban": lambda other, number: c.MemberBan(room=ROOM, user=other),
    "unban": lambda other, number: c.MemberUnban(room=ROOM, user=other),
    "mute": lambda other, number: c.MemberMute(room=ROOM, user=other, seconds=1 if number % 3 else None),
    "role": lambda other, number: c.MemberRole(room=ROOM, user=other, role="moderator" if number % 3 else "member"),
    "settings": lambda other, number: c.RoomUpdate(
        room=ROOM, title=f"Title {number}", settings=SettingsPatch(slow_seconds=number % 2)
    ),
}
