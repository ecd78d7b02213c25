"""Commands that are decided and written together: order, verdicts that are awaited, repeats, failing writes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.hosting.service import Service
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.drafts import Draft, Verdict
from rooms.errors import Rejected
from rooms.settings import SettingsPatch
from tests.support.service import make_service

ROOM = "r"
ANN, BOB = Actor(user="ann", name="Ann", admin=True), Actor(user="bob", name="Bob")


class SlowPolicy:
    """Texts with `slow` in them are judged when `opinion` is given."""

    def __init__(self) -> None:
        self.opinion = asyncio.Event()
        self.asked = asyncio.Event()

    def judge(self, draft: Draft) -> Verdict | Awaitable[Verdict]:
        if "slow" not in draft.text:
            return Verdict("allow", "test")
        self.asked.set()
        return self._think()

    async def _think(self) -> Verdict:
        await self.opinion.wait()
        return Verdict("allow", "test")


class Failing:
    """A store whose next `failures` appends fail, before anything is written."""

    def __init__(self, store: SQLiteStore):
        self._store = store
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append_all(self, batches: Sequence[ports.Batch]) -> Sequence[ports.Appended | Exception]:
        if self.failures:
            self.failures -= 1
            raise ports.Unavailable("the disk is full")
        return await self._store.append_all(batches)


class House:
    def __init__(self, folder: Path):
        self.policy = SlowPolicy()
        clock = itertools.count(1_700_000_000_000).__next__
        self.store = Failing(SQLiteStore(folder / "galaxy.db", clock))
        store: Any = self.store
        self.service = make_service(store, clock, policy=self.policy)

    def another_node(self) -> Service:
        store: Any = self.store
        return make_service(store, self.service.clock, policy=self.policy)

    async def furnish(self) -> None:
        await self.store.open()
        await self.do(ANN, c.RoomCreate(kind="group", title="Room", visibility="public", room=ROOM))
        await self.do(BOB, c.MemberJoin(room=ROOM))

    async def do(self, actor: Actor, command: c.Decided) -> dict[str, Any]:
        return await self.service.answer(actor, command)

    def submit(self, actor: Actor, command: c.Decided, lane: object) -> list[Any]:
        """What the command is answered, in time."""
        answers: list[Any] = []
        host = self.service.at_hand(actor, command)
        assert host is not None
        self.service.submit_to(host, actor, command, lane, answers.append)
        return answers

    async def texts(self) -> list[str]:
        events = await self.store.events(ROOM, after=0, to=1_000, limit=1_000)
        return [event.message.text for event in events if hasattr(event, "message") and event.message]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    house.policy.opinion.set()
    await house.service.close()


async def test_one_lane_keeps_its_order_however_slow_a_verdict_is(house: House) -> None:
    first = house.submit(BOB, c.MessageSend(room=ROOM, text="slow @ann"), "lane")
    await asyncio.sleep(0)  # the host looks the name up
    second = house.submit(BOB, c.MessageSend(room=ROOM, text="quick"), "lane")
    other = house.submit(ANN, c.MessageSend(room=ROOM, text="another's"), "other lane")
    await house.policy.asked.wait()
    await house.do(ANN, c.MessageSend(room=ROOM, text="later"))
    assert (first, second, len(other)) == ([], [], 1)
    house.policy.opinion.set()
    await house.service.settle()
    assert await house.texts() == ["another's", "later", "slow @ann", "quick"]
    assert len(first) == len(second) == 1


async def test_a_failed_write_leaves_those_alone_whose_verdict_is_awaited(house: House) -> None:
    house.store.failures = 1
    quick = asyncio.create_task(house.do(ANN, c.MessageSend(room=ROOM, text="quick")))
    judged = house.submit(BOB, c.MessageSend(room=ROOM, text="slow"), "bob")
    behind = house.submit(BOB, c.MessageSend(room=ROOM, text="behind"), "bob")
    with pytest.raises(Rejected) as failed:
        await quick
    assert failed.value.code == "unavailable"
    assert house.policy.asked.is_set()
    assert judged == behind == []
    house.policy.opinion.set()
    await house.service.settle()
    assert [type(answer) for answer in (*judged, *behind)] == [dict, dict]
    assert await house.texts() == ["slow", "behind"]


async def test_all_that_was_sent_before_is_answered_again_at_once(house: House) -> None:
    """A client that comes back repeats all that it has had no reply to."""
    sent = [c.MessageSend(room=ROOM, text=f"text {i}", key=f"key {i}") for i in range(20)]
    first = [await house.do(BOB, command) for command in sent]
    new = c.MessageSend(room=ROOM, text="new", key="new")
    *again, last = await asyncio.gather(*(house.do(BOB, command) for command in (*sent, new)))
    assert again == [reply | {"duplicate": True} for reply in first]
    assert "duplicate" not in last
    assert await house.texts() == [*(command.text for command in sent), "new"]


async def test_nobody_is_refused_for_what_was_never_written(house: House) -> None:
    mute = c.MemberMute(room=ROOM, user="bob", key="mute")
    await house.do(ANN, mute)
    await house.do(ANN, c.MemberUnmute(room=ROOM, user="bob"))
    said = c.MessageSend(room=ROOM, text="not muted")
    answers = await asyncio.gather(house.do(ANN, mute), house.do(BOB, said))
    assert answers[0]["duplicate"]
    assert await house.texts() == ["not muted"]


async def test_a_ban_takes_along_what_was_sent_in_the_same_batch(house: House) -> None:
    await house.do(BOB, c.MessageSend(room=ROOM, text="before"))
    deleted = await house.do(BOB, c.MessageSend(room=ROOM, text="deleted"))
    await asyncio.gather(
        house.do(BOB, c.MessageSend(room=ROOM, text="spam")),
        house.do(BOB, c.MessageDelete(room=ROOM, target=deleted["pos"])),
        house.do(ANN, c.MemberBan(room=ROOM, user="bob", purge_seconds=60)),
    )
    assert await house.texts() == []
    events = await house.store.events(ROOM, after=0, to=1_000, limit=1_000)
    targets = [event.target for event in events if event.__struct_config__.tag == "message.deleted"]
    assert sorted(targets) == [3, 4, 5]


async def test_slow_mode_that_another_node_knows_of_costs_no_membership(house: House) -> None:
    await house.do(ANN, c.RoomUpdate(room=ROOM, settings=SettingsPatch(slow_seconds=600)))
    other = house.another_node()
    await other.directory.host(ROOM)
    await house.do(BOB, c.MessageSend(room=ROOM, text="here"))
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            await other.answer(BOB, c.MessageSend(room=ROOM, text="there"))
        assert refused.value.code == "slow_mode"
