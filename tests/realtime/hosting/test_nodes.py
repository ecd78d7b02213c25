"""Two nodes on one log: what people are told of what happens on the other one."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from realtime.brokers.memory import MemoryBroker, MemoryBus
from realtime.brokers.memory_tallies import MemoryCounts, MemoryTallies
from realtime.hosting import upkeep as upkeep_module
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, Role, Viewer
from rooms.errors import Rejected
from rooms.room import Room
from rooms.settings import SettingsPatch
from tests.support.service import NOTHING_BOUND, make_service

ANN, BOB = Actor(user="ann", name="Ann"), Actor(user="bob", name="Bob")
WAIT = 20.0
NOW = 1_700_000_000_000
BOUNDS = replace(NOTHING_BOUND, reactions_per_second=5, invite_guesses_per_minute=3)


class Line:
    def event(self, event: object, epoch: str) -> bytes:
        return b""


class Screen:
    """A connection of a user; what it was told is in `told`."""

    connection = None
    unsent = 0
    lagging = False
    form = Line()

    def __init__(self, actor: Actor, issued_ms: int | None):
        self.actor = actor
        self.user = actor.user
        self.issued_ms = issued_ms
        self.told: list[dict[str, Any]] = []
        self.ended = False

    def tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)

    def logged_out(self) -> None:
        self.ended = True

    def out(self, frames: bytes) -> None: ...

    def expelled(self, room: str, notice: dict[str, Any]) -> None: ...

    def too_slow(self) -> None: ...

    def heard(self, kind: str, **like: Any) -> bool:
        return any(
            event["type"] == kind and all(event.get(name) == value for name, value in like.items())
            for event in self.told
        )

    def counts(self, room: str) -> dict[str, Any] | None:
        """The latest that it was told of the room."""
        rows = [row for event in self.told if event["type"] == "user.changed" for row in event["rooms"]]
        return next((row for row in reversed(rows) if row["room"] == room), None)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not true():  # noqa: ASYNC110 - told by the clock
            await asyncio.sleep(0.01)


def named(room: Room, user: str) -> str:
    """How the room calls the user."""
    person = room.people.get(user)
    return person.name if person is not None else ""


class Nodes:
    def __init__(self, file: Path):
        self.clock = itertools.count(NOW).__next__
        self.bus, self.counts = MemoryBus(), MemoryCounts()
        self.file = file
        self.a, self.b = self.node(), self.node()

    def node(self) -> Service:
        broker = MemoryBroker(self.bus)
        return make_service(
            SQLiteStore(self.file, self.clock),
            self.clock,
            bounds=BOUNDS,
            broker=broker,
            tallies=MemoryTallies(broker.node, self.counts),
        )

    async def arrive(self, node: Service, actor: Actor, most: int = 0) -> Screen:
        issued = self.clock()
        screen = Screen(actor, issued)
        screen.ended = not await node.arrive(actor, issued, screen, most)
        return screen

    async def group(self, **settings: Any) -> str:
        """A public group of ann's, made on a, in which bob is a member."""
        made = await self.a.answer(ANN, c.RoomCreate(kind="group", title="G", visibility="public", **settings))
        room: str = made["room"].id
        await self.a.answer(BOB, c.MemberJoin(room=room))
        return room

    async def listen(self, node: Service, actor: Actor, room: str) -> Screen:
        host = await node.directory.enter(room, actor)
        screen = Screen(actor, self.clock())
        node.hub.add(node.hub.channel(room, host.epoch), screen, Viewer(actor.user, Role.MEMBER))
        return screen

    def cut(self) -> None:
        """Nothing comes across any more."""
        self._cut = dict(self.bus.nodes)
        self.bus.nodes.clear()

    def heal(self) -> None:
        self.bus.nodes.update(self._cut)
        for receiver in self._cut.values():
            receiver.missed()


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    monkeypatch.setattr(upkeep_module, "TICK_SECONDS", 0.05)
    nodes = Nodes(tmp_path / "galaxy.db")
    await nodes.a.start()
    await nodes.b.start()
    await until(lambda: nodes.a.following.peers and nodes.b.following.peers)
    yield nodes
    await nodes.a.close()
    await nodes.b.close()


async def test_what_was_read_on_one_device_is_read_on_the_other(nodes: Nodes) -> None:
    room = await nodes.group()
    desk = await nodes.arrive(nodes.b, BOB)
    last = 0
    for number in range(5):
        last = (await nodes.a.answer(ANN, c.MessageSend(room=room, text=f"hello {number}")))["pos"]
    await until(lambda: (desk.counts(room) or {}).get("unread") == 5)
    await nodes.a.answer(BOB, c.ReadMark(room=room, pos=last))
    await until(lambda: (desk.counts(room) or {}).get("unread") == 0)
    await nodes.a.answer(BOB, c.ReadMark(room=room, pos=1))
    await nodes.a.answer(ANN, c.MessageSend(room=room, text="one more"))
    await until(lambda: (desk.counts(room) or {}).get("unread") == 1)
    read = [row["read_pos"] for event in desk.told if event["type"] == "user.changed" for row in event["rooms"]]
    assert read == sorted(read)


async def test_mentions_and_waiting_messages_reach_who_is_online_elsewhere(nodes: Nodes) -> None:
    room = await nodes.group()
    await nodes.a.answer(ANN, c.RoomUpdate(room=room, settings=SettingsPatch(delay_seconds=3_600)))
    ann, bob = await nodes.arrive(nodes.b, ANN), await nodes.arrive(nodes.b, BOB)
    pos = (await nodes.a.answer(ANN, c.MessageSend(room=room, text="hello @bob")))["pos"]
    await until(lambda: bob.heard("mention", room=room, pos=pos))
    held = await nodes.a.answer(BOB, c.MessageSend(room=room, text="late"))
    await until(lambda: ann.heard("message.pending", pending=held["pending"]))
    approved = await nodes.a.answer(ANN, c.MessageApprove(room=room, pending=held["pending"]))
    await until(lambda: bob.heard("pending.resolved", pending=held["pending"], pos=approved["pos"]))


async def test_a_room_joined_elsewhere_is_one_of_ones_own(nodes: Nodes) -> None:
    screen = await nodes.arrive(nodes.b, BOB)
    room = await nodes.group()
    await until(lambda: screen.counts(room))


async def test_logging_out_ends_connections_everywhere(nodes: Nodes) -> None:
    screen, other = await nodes.arrive(nodes.b, BOB), await nodes.arrive(nodes.b, ANN)
    await nodes.a.answer(BOB, c.UserLogout())
    await until(lambda: screen.ended)
    assert not other.ended


async def test_a_new_name_is_shown_everywhere(nodes: Nodes) -> None:
    room = await nodes.group()
    await nodes.arrive(nodes.a, BOB)
    await nodes.a.answer(BOB, c.MessageSend(room=room, text="hello"))
    host = await nodes.b.directory.enter(room, BOB)
    await nodes.arrive(nodes.a, replace(BOB, name="Robert"))
    await until(lambda: named(host.room, "bob") == "Robert")


async def test_after_the_broker_was_away_who_logged_out_is_sent_away_and_counts_and_names_are_right(
    nodes: Nodes,
) -> None:
    room = await nodes.group()
    await nodes.arrive(nodes.a, BOB)
    last = (await nodes.a.answer(ANN, c.MessageSend(room=room, text="hello")))["pos"]
    ann, bob = await nodes.arrive(nodes.b, ANN), await nodes.arrive(nodes.b, BOB)
    host = await nodes.b.directory.enter(room, BOB)
    nodes.cut()
    await nodes.a.answer(BOB, c.ReadMark(room=room, pos=last))
    await nodes.a.answer(ANN, c.UserLogout())
    await nodes.arrive(nodes.a, replace(BOB, name="Robert"))
    other = (await nodes.a.answer(ANN, c.RoomCreate(kind="group", title="H", visibility="public")))["room"].id
    await nodes.a.answer(BOB, c.MemberJoin(room=other))
    fresh = await nodes.arrive(nodes.b, ANN)
    nodes.heal()
    await until(lambda: ann.ended)
    await until(lambda: (bob.counts(room) or {}).get("read_pos") == last)
    await until(lambda: bob.counts(other))
    await until(lambda: named(host.room, "bob") == "Robert")
    assert not fresh.ended
    assert not bob.ended


async def test_connections_count_on_all_nodes(nodes: Nodes) -> None:
    first = await nodes.arrive(nodes.a, BOB, 2)
    second = await nodes.arrive(nodes.b, BOB, 2)
    assert not first.ended
    assert not second.ended
    third = await nodes.arrive(nodes.b, BOB, 2)
    assert third.ended
    nodes.b.users.disconnect("bob", third)
    nodes.a.users.disconnect("bob", first)
    assert not (await nodes.arrive(nodes.b, BOB, 2)).ended


async def test_connections_of_a_node_that_is_gone_do_not_count(nodes: Nodes) -> None:
    await nodes.arrive(nodes.a, BOB, 1)
    assert (await nodes.arrive(nodes.b, BOB, 1)).ended
    nodes.b.users.online.clear()
    await nodes.a.following.stop()
    await until(lambda: not nodes.b.following.peers)
    assert not (await nodes.arrive(nodes.b, BOB, 1)).ended


async def test_another_node_is_no_way_round_a_rate(nodes: Nodes) -> None:
    for _ in range(3):
        with pytest.raises(Rejected) as missed:
            await nodes.a.answer(BOB, c.InviteAccept(code="no such code"))
        assert missed.value.code == "not_found"
    with pytest.raises(Rejected):
        await nodes.b.answer(BOB, c.InviteAccept(code="no such code"))
    await asyncio.sleep(0)  # the answer of the count
    with pytest.raises(Rejected) as refused:
        await nodes.b.answer(BOB, c.InviteAccept(code="no such code"))
    assert refused.value.code == "rate_limited"


async def test_lists_and_presence_count_who_listens_elsewhere(nodes: Nodes) -> None:
    room = await nodes.group()
    await nodes.listen(nodes.a, ANN, room)

    async def listed() -> int:
        rooms = (await nodes.b.answer(BOB, c.RoomList(mine=True)))["rooms"]
        return int(next(row["counts"]["online"] for row in rooms if row["id"] == room))

    async with asyncio.timeout(WAIT):
        while await listed() != 1:  # noqa: ASYNC110 - told by the clock
            await asyncio.sleep(0.01)
    assert room not in nodes.b.directory.hosts
    await nodes.listen(nodes.b, BOB, room)
    await until(lambda: nodes.a.presence.online(nodes.a.hub, room) == 2)
    assert await listed() == 2
    present = {"online": 2, "names": [{"id": "ann", "name": "Ann"}, {"id": "bob", "name": "Bob"}]}
    for node in (nodes.a, nodes.b):
        assert await node.answer(ANN, c.PresenceGet(room=room)) == present
        members = (await node.answer(ANN, c.MemberList(room=room)))["members"]
        assert all(member["online"] for member in members)
