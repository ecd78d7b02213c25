"""The steps of a command that is traced: which there are, in which order, and that they end with its answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from realtime import tracing_otlp
from realtime.hosting.host import Host
from realtime.ports.carried import Committed
from realtime.stores.sqlite import SQLiteStore
from realtime.tracing_otlp import OtlpTracer
from rooms import commands as c
from rooms.actors import Actor, Role, Viewer
from rooms.errors import Rejected
from rooms.events import Logged
from rooms.settings import SettingsPatch
from tests.realtime.hosting.test_host_batches import Failing, SlowPolicy
from tests.realtime.hosting.test_joining import Ear
from tests.support.otlp import Collector
from tests.support.service import make_service
from tests.support.traces import TraceKept

ROOM = "r"
ANN, BOB = Actor(user="ann", name="Ann", admin=True), Actor(user="bob", name="Bob")
SAID = ["inbox", "decide", "commit", "reply", "answered ok", "publish"]


class House:
    def __init__(self, folder: Path):
        self.policy = SlowPolicy()
        self.clock = itertools.count(1_700_000_000_000).__next__
        self.store = Failing(SQLiteStore(folder / "galaxy.db", self.clock))
        store: Any = self.store
        self.service = make_service(store, self.clock, policy=self.policy)
        self.other = make_service(store, self.clock)

    async def furnish(self) -> None:
        await self.store.open()
        await self.do(ANN, c.RoomCreate(kind="group", title="Room", visibility="public", room=ROOM))
        await self.do(BOB, c.MemberJoin(room=ROOM))

    async def do(self, actor: Actor, command: c.Decided) -> TraceKept:
        """The trace of a command that has had its answer, whatever that is."""
        trace = TraceKept()
        try:
            await self.service.answer(actor, command, trace)
        except Rejected as rejected:
            assert trace.steps[-1] == f"answered {rejected.code}"
        return trace


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    house.policy.opinion.set()
    await house.service.close()


async def test_a_message_that_nobody_listens_to(house: House) -> None:
    trace = await house.do(ANN, c.MessageSend(room=ROOM, text="hello"))
    assert trace.steps == SAID
    assert trace.told[-1] == {}


async def test_a_message_that_somebody_listens_to(house: House) -> None:
    hub = house.service.hub
    hub.add(hub.channel(ROOM, ""), Ear(ANN), Viewer("ann", Role.OWNER))
    trace = await house.do(ANN, c.MessageSend(room=ROOM, text="hello"))
    hub.flush(hub.channel(ROOM, ""))
    assert trace.steps == [*SAID, "deliver"]
    assert trace.told[-1] == {"listeners": 1}


async def test_what_is_refused_is_not_committed(house: House) -> None:
    trace = await house.do(BOB, c.MemberMute(room=ROOM, user="ann"))
    assert trace.steps == ["inbox", "decide", "answered forbidden"]


async def test_what_does_not_come_as_far_as_a_room_has_its_answer(house: House) -> None:
    trace = await house.do(BOB, c.MessageSend(room="none", text="hello"))
    assert trace.steps == ["answered not_found"]


async def test_what_was_said_before_is_not_published_again(house: House) -> None:
    command = c.MessageSend(room=ROOM, text="hello", key="key")
    assert (await house.do(ANN, command)).steps == SAID
    assert (await house.do(ANN, command)).steps == ["inbox", "decide", "commit", "reply", "answered ok"]


async def test_a_commit_that_fails(house: House) -> None:
    house.store.failures = 1
    trace = await house.do(ANN, c.MessageSend(room=ROOM, text="hello"))
    assert trace.steps == ["inbox", "decide", "commit", "reply", "answered unavailable"]


async def test_behind_a_verdict_it_waits_once_more(house: House) -> None:
    judged, behind = TraceKept(), TraceKept()
    host = house.service.at_hand(BOB, c.MessageSend(room=ROOM, text=""))
    assert host is not None
    for trace, text in ((judged, "slow"), (behind, "quick")):
        house.service.submit_to(host, BOB, c.MessageSend(room=ROOM, text=text), "lane", lambda _: None, trace)
    await house.policy.asked.wait()
    house.policy.opinion.set()
    await house.service.settle()
    assert judged.steps == ["inbox", "decide", "decide", "commit", "reply", "publish"]
    assert behind.steps == ["inbox", "decide", "inbox", "decide", "commit", "reply", "publish"]


async def test_what_another_node_was_quicker_with_is_decided_again(house: House) -> None:
    await house.other.directory.host(ROOM)
    await house.other.answer(ANN, c.RoomUpdate(room=ROOM, settings=SettingsPatch(max_text=3)))
    trace = await house.do(BOB, c.MessageSend(room=ROOM, text="hello"))
    assert trace.steps == ["inbox", "decide", "commit", "reply", "inbox", "decide", "answered too_long"]


async def test_of_a_batch_only_what_was_said_is_published(house: House) -> None:
    """Each of these is in the same round."""
    said, refused = await asyncio.gather(
        house.do(ANN, c.MessageSend(room=ROOM, text="hello")),
        house.do(BOB, c.MemberMute(room=ROOM, user="ann")),
    )
    assert said.steps == SAID
    assert refused.steps == ["inbox", "decide", "answered forbidden"]


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    monkeypatch.setattr(tracing_otlp, "CLOSE_SECONDS", 60.0)
    with Collector() as collector:
        yield collector


class Listening(OtlpTracer):
    """Keeps which positions it was told to wait for."""

    awaited: list[int | None]

    def heard(self, room: str, pos: int | None, contexts: Iterable[str]) -> None:
        self.awaited.append(pos)
        super().heard(room, pos, contexts)


class Elsewhere:
    """Another node than the house's, which has loaded the room, and traces."""

    def __init__(self, house: House, collector: Collector):
        self.tracer = Listening(collector.url, sample=0, service="chat", node="one", system="memory")
        self.tracer.awaited = []
        store: Any = house.store
        self.service = make_service(store, house.clock, tracer=self.tracer)

    async def load(self) -> Host:
        host = await self.service.directory.host(ROOM)
        assert host is not None
        return host

    def hear(self, host: Host, events: Sequence[Logged], *contexts: str) -> None:
        self.service.following.heard("two", f"room:{ROOM}", [Committed(host.epoch, tuple(events), contexts)])


async def test_what_other_nodes_have_traced_goes_on_here(house: House, collector: Collector) -> None:
    """What is here already, from wherever it came, is not taken in again."""
    here = Elsewhere(house, collector)
    host = await here.load()
    await house.do(ANN, c.MessageSend(room=ROOM, text="hello"))
    events = await house.store.events(ROOM, after=host.room.pos, to=10, limit=10)
    for _ in range(2):
        here.hear(host, events, TraceKept.context, "not one", TraceKept.context[:-1] + "0")
    assert host.room.pos == events[-1].pos
    await here.tracer.close()
    assert [span.name for span in collector.spans] == ["receive room:{room}", "apply", "receive room:{room}"]
    assert collector.spans[1].parent == collector.spans[0].id
    assert here.tracer.awaited == [events[-1].pos, None]


async def test_what_comes_before_those_before_it_is_not_applied_yet(house: House, collector: Collector) -> None:
    here = Elsewhere(house, collector)
    host = await here.load()
    for text in ("first", "second"):
        await house.do(ANN, c.MessageSend(room=ROOM, text=text))
    first, second = await house.store.events(ROOM, after=host.room.pos, to=10, limit=10)
    here.hear(host, [second], TraceKept.context)
    assert host.room.pos == first.pos - 1
    here.hear(host, [first])
    assert host.room.pos == second.pos
    await here.tracer.close()
    assert [span.name for span in collector.spans] == ["receive room:{room}", "apply"]


async def test_a_node_without_the_room_has_nothing_to_apply(house: House, collector: Collector) -> None:
    here = Elsewhere(house, collector)
    host = await house.service.directory.host(ROOM)
    assert host is not None
    here.hear(host, await house.store.events(ROOM, after=0, to=10, limit=10), TraceKept.context)
    assert here.tracer.awaited == [None]
    await here.tracer.close()
    assert [span.name for span in collector.spans] == ["receive room:{room}"]
