"""Two nodes on one log: what is decided on one reaches the media of the other; races have one outcome."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.brokers.memory import MemoryBroker, MemoryBus
from realtime.brokers.memory_tallies import MemoryCounts, MemoryTallies
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.verify import Problem, verify
from relay.ports import Admitted, Claim, Recorded, Refused
from rooms import commands as c
from rooms.actors import Actor
from tests.realtime.live.stage import BOB, OWNER, ROOM, ROOT, SETTINGS, Media
from tests.support.service import make_service

NOW = 1_795_367_182_123
ROUNDS = 5


class Nodes:
    def __init__(self, file: Path):
        self.clock = itertools.count(NOW).__next__
        self.bus, self.counts, self.file = MemoryBus(), MemoryCounts(), file
        self.medias = [Media("one"), Media("two")]
        self.services = [self._node(media) for media in self.medias]

    def _node(self, media: Media) -> Service:
        broker = MemoryBroker(self.bus)
        service = make_service(
            SQLiteStore(self.file, self.clock),
            self.clock,
            broker=broker,
            tallies=MemoryTallies(broker.node, self.counts),
            live=SETTINGS,
        )
        service.live.reach = media
        return service

    async def room(self, room: str = ROOM) -> None:
        owner = Actor(user=OWNER.user, name=OWNER.name, admin=True)
        await self.services[0].answer(owner, c.RoomCreate(kind="live", title="R", visibility="public", room=room))

    async def claim(self, room: str = ROOM) -> Claim:
        return Claim("rtmp", "192.0.2.1", key=(await self.services[0].answer(OWNER, c.LiveKey(room=room)))["key"])

    async def flow(self, number: int, room: str = ROOM) -> Admitted:
        gate = self.services[number].live.gate("one" if number == 0 else "two")
        admitted = await gate.admit(await self.claim(room))
        await gate.flowing(room, admitted.session, admitted.fence)
        return admitted

    async def log(self, room: str = ROOM) -> list[Any]:
        found = await self.services[0].store.events(room, after=0, to=2**31, limit=1_000)
        return [event for event in found if str(event.__struct_config__.tag) != "room.created"]


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    nodes = Nodes(tmp_path / "galaxy.db")
    for service in nodes.services:
        await service.start()
    yield nodes
    problems: list[Problem] = []
    store = nodes.services[0].store
    assert isinstance(store, SQLiteStore)
    await verify(store, problems.append)
    for service in nodes.services:
        await service.close()
    assert problems == []


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - done in a task of its own
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", ["stop", "ban", "rotate", "takedown"])
async def test_ending_a_stream_reaches_the_node_that_has_it(nodes: Nodes, how: str) -> None:
    await nodes.room()
    await nodes.flow(1)
    one = nodes.services[0]
    match how:
        case "stop":
            await one.answer(OWNER, c.LiveStop(room=ROOM))
        case "ban":
            await one.answer(BOB, c.MemberJoin(room=ROOM))
            await one.answer(ROOT, c.MemberRole(room=ROOM, user="bob", role="owner"))
            await one.answer(ROOT, c.MemberBan(room=ROOM, user="ann"))
        case "rotate":
            await one.answer(OWNER, c.LiveKey(room=ROOM, rotate=True))
        case _:
            await one.answer(ROOT, c.LiveTakedown(room=ROOM))
    await until(lambda: nodes.medias[1].stopped)
    assert nodes.medias[1].stopped[0][:2] == ("two", ROOM)
    assert nodes.medias[0].stopped == []
    await until(lambda: all(media.over for media in nodes.medias))
    assert not (await one.store.stream(ROOM)).on


async def test_a_test_becomes_public_on_the_node_that_has_it(nodes: Nodes) -> None:
    await nodes.room()
    await nodes.services[0].answer(OWNER, c.LiveStart(room=ROOM, test=True))
    admitted = await nodes.flow(1)
    await nodes.services[0].answer(OWNER, c.LiveStart(room=ROOM))
    await until(lambda: nodes.medias[1].public == [("two", ROOM, admitted.session, True)])
    assert nodes.medias[0].public == []


async def test_a_recording_that_is_deleted_is_read_on_no_node(nodes: Nodes) -> None:
    await nodes.room()
    admitted = await nodes.flow(1)
    await nodes.services[0].answer(OWNER, c.LiveStop(room=ROOM))
    recorded = Recorded(admitted.session, ROOM, "ann", "kept", 1, 60_000, 1_000, 640, 360, 1)
    await nodes.services[1].live.gate("two").recorded(recorded)
    await nodes.services[0].answer(OWNER, c.RecordingDelete(room=ROOM, recording="kept"))
    await until(lambda: [media.changed for media in nodes.medias] == [[ROOM], [ROOM]])


async def test_a_publisher_elsewhere_replaces_the_one_here(nodes: Nodes) -> None:
    await nodes.room()
    first = await nodes.flow(0)
    second = await nodes.flow(1)
    await until(lambda: nodes.medias[0].stopped == [("one", ROOM, "replaced")])
    assert (second.session, second.fence > first.fence) == (first.session, True)
    assert nodes.medias[0].over == nodes.medias[1].over == [], "the session goes on"
    with pytest.raises(Refused):
        await nodes.services[0].live.gate("one").flowing(ROOM, first.session, first.fence)
    assert [type(event).__name__ for event in await nodes.log()] == ["LiveStarted"]


async def test_of_publishers_at_once_on_two_nodes_the_newest_flows(nodes: Nodes) -> None:
    for number in range(ROUNDS):
        room = f"race-{number}"
        await nodes.room(room)
        claim = await nodes.claim(room)
        gates = [service.live.gate(name) for service, name in zip(nodes.services, ("one", "two"), strict=True)]
        admitted = await asyncio.gather(*(gate.admit(claim) for gate in gates))
        assert len({one.fence for one in admitted}) == 2
        assert len({one.session for one in admitted}) == 1
        flowing = await asyncio.gather(
            *(gate.flowing(room, one.session, one.fence) for gate, one in zip(gates, admitted, strict=True)),
            return_exceptions=True,
        )
        newest = max(range(2), key=lambda n: admitted[n].fence)
        assert flowing[newest] is None
        assert isinstance(flowing[1 - newest], Refused)
        assert [type(event).__name__ for event in await nodes.log(room)] == ["LiveStarted"]


async def test_a_ban_against_a_publisher_leaves_nobody_live(nodes: Nodes) -> None:
    """Whichever comes first: in the end the log says that it is not live, and no stream is on."""
    one, other = nodes.services
    for number in range(ROUNDS):
        room = f"ban-{number}"
        await nodes.room(room)
        await one.answer(BOB, c.MemberJoin(room=room))
        await one.answer(ROOT, c.MemberRole(room=room, user="bob", role="owner"))
        claim = await nodes.claim(room)

        async def publish(room: str = room, claim: Claim = claim) -> None:
            gate = other.live.gate("two")
            admitted = await gate.admit(claim)
            await gate.flowing(room, admitted.session, admitted.fence)

        outcomes = await asyncio.gather(
            publish(), one.answer(ROOT, c.MemberBan(room=room, user="ann")), return_exceptions=True
        )
        assert isinstance(outcomes[1], dict)
        assert outcomes[0] is None or isinstance(outcomes[0], Refused), outcomes
        async with asyncio.timeout(20):
            while (await one.store.stream(room)).state != "idle":  # noqa: ASYNC110 - the closer tells nobody
                await asyncio.sleep(0.01)
        loaded = await one.store.load(room)
        assert loaded is not None
        assert loaded.room.live is None


async def test_viewers_are_counted_over_nodes_and_announced_once(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    await nodes.room()
    await nodes.flow(0)
    told: list[dict[str, Any]] = []
    for service in nodes.services:
        monkeypatch.setattr(service, "tell_room", lambda room, event: told.append(event))
        service.following.look_around()
    await until(lambda: all(len(service.following.peers) == 1 for service in nodes.services))
    nodes.services[0].live.viewers.report("edge", {ROOM: ["ann", "bob"]})
    nodes.services[1].live.viewers.report("edge", {ROOM: ["cem"]})
    for _ in range(2):
        for service in nodes.services:
            await service.live.viewers.announce()
    counts = {"type": "live.viewers", "room": ROOM, "now": 3, "peak": 3, "unique": 3}
    assert told[-1] == counts
    told.clear()
    nodes.services[0].live.viewers.gone("edge")
    for service in nodes.services:
        await service.live.viewers.announce()
    (last,) = told
    assert (last["now"], last["unique"]) == (1, 3)
