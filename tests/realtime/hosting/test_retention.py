"""Another process prunes the log under a running service: who comes back is given all that was missed, or nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.hosting import upkeep
from realtime.hosting.host import Host
from realtime.stores import pruning
from realtime.stores.pruning import prune
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from tests.realtime.hosting.test_joining import Ear, Meanwhile
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner", admin=True)
GUEST = Actor(user="guest", name="Guest")
STEP_MS = 1_000
FIRST_AT = 1_700_000_000_000


class Clock:
    """Each event is a second later than the one before: event `pos` is from `at(pos)`."""

    def __init__(self) -> None:
        self.now = FIRST_AT

    def __call__(self) -> int:
        return self.now


def at(pos: int) -> int:
    return FIRST_AT + pos * STEP_MS


class House:
    """A room at position 21: 20 messages of which none is in memory; `pruner` is another process's store."""

    def __init__(self, folder: Path):
        self.clock = Clock()
        path = folder / "galaxy.db"
        self.store = Meanwhile(SQLiteStore(path, self.clock))
        self.pruner = SQLiteStore(path, self.clock)
        store: Any = self.store
        self.service = make_service(store, self.clock)
        self.ears = map(Ear, (Actor(user=f"u{i}", name=f"U{i}") for i in itertools.count()))

    async def furnish(self) -> None:
        await self.service.start()
        await self.pruner.open()
        await self.do(OWNER, c.RoomCreate(kind="group", title="R", visibility="public", room="r"))
        await self.do(OWNER, c.RoomUpdate(room="r", title="Room"))
        for number in range(19):
            await self.say(f"message {number}")

    async def close(self) -> None:
        await self.service.close()
        await self.pruner.close()

    @property
    def host(self) -> Host:
        return self.service.directory.hosts["r"]

    async def do(self, actor: Actor, command: c.AnyCommand) -> dict[str, Any]:
        self.clock.now += STEP_MS
        return await self.service.answer(actor, command)

    async def say(self, text: str, reply_to: int | None = None) -> None:
        await self.do(OWNER, c.MessageSend(room="r", text=text, reply_to=reply_to))

    async def prune_to(self, first_pos: int) -> None:
        """What is from before that position goes."""
        await prune(self.pruner, at(first_pos), dry_run=False)

    async def noted(self) -> None:
        await self.service.retention.check([*self.service.directory.hosts.values()])

    async def join(self, since: int | None = None, ear: Ear | None = None) -> dict[str, Any]:
        """The reply. Either all after `since`, or nothing: asserted here, for every join of these tests."""
        replies: list[dict[str, Any]] = []
        command = c.RoomJoin(room="r", since=None if since is None else c.Since(self.host.epoch, since))
        await self.service.joining.join(command, ear or next(self.ears), replies.append)
        (reply,) = replies
        positions = [event["pos"] for event in reply["events"]]
        if reply["recovered"]:
            assert since is not None
            assert positions == [*range(since + 1, reply["pos"] + 1)]
        else:
            assert positions == []
        return reply

    async def events(self, **span: int) -> tuple[list[int], int, bool]:
        reply = await self.service.answer(GUEST, c.RoomEvents(room="r", **span))
        return [event.pos for event in reply["events"]], reply["first_pos"], reply["more"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.furnish()
    yield house
    await house.close()


async def test_who_missed_what_is_gone_is_given_nothing_of_it(house: House) -> None:
    await house.prune_to(11)
    assert (await house.join(since=5))["recovered"] is False
    reply = await house.join(since=9)
    assert (reply["recovered"], reply["first_pos"]) == (False, 11)
    assert (await house.join(since=10))["recovered"] is True


async def test_what_goes_while_the_past_is_read_is_given_whole_or_not_at_all(house: House) -> None:
    house.store.act = lambda: house.prune_to(11)
    assert (await house.join(since=5))["recovered"] is True  # it was read before
    await house.noted()
    assert (await house.join(since=5))["recovered"] is False


async def test_what_is_gone_is_given_from_memory_until_it_is_noted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PRUNED_SECONDS", 0.01)
    await house.service._upkeep.stop()
    house.service._upkeep.start()
    await house.join()
    assert (await house.join(since=5))["recovered"] is True
    await house.prune_to(11)
    async with asyncio.timeout(20):
        while (await house.join(since=5))["recovered"]:  # noqa: ASYNC110 - it is noted by the clock
            await asyncio.sleep(0.005)
    assert house.host.first_pos == 11


async def test_the_past_is_no_longer_quoted(house: House) -> None:
    ear = next(house.ears)
    await house.join(ear=ear)
    await house.say("answer", reply_to=5)
    answer = house.host.room.pos
    quoted = (await house.join(since=answer - 1))["events"][0]["message"]["reply_to"]
    assert quoted["text"] == "message 2"
    await house.prune_to(11)
    await house.noted()
    assert (await house.join(since=answer - 1))["events"][0]["message"]["reply_to"] == {"pos": 5, "deleted": True}


async def test_pages_of_the_log_begin_where_it_begins(house: House) -> None:
    assert await house.events(after=0, limit=5) == ([1, 2, 3, 4, 5], 1, True)
    await house.prune_to(4)
    assert await house.events(after=0, limit=5) == ([4, 5, 6, 7, 8], 4, True)
    await house.prune_to(15)
    assert await house.events(after=3, limit=5) == ([15, 16, 17, 18, 19], 15, True)
    await house.prune_to(17)
    assert await house.events(before=19, limit=5) == ([17, 18], 17, False)
    await house.prune_to(22)
    assert await house.events(after=0, limit=5) == ([], 22, False)
    assert await house.events(before=9, limit=5) == ([], 22, False)


async def test_a_message_that_is_gone_can_be_no_commands_target(house: House) -> None:
    await house.do(OWNER, c.MessagePin(room="r", target=5))
    await house.prune_to(11)
    await house.noted()
    assert (await house.join())["room"]["pins"] == []
    for command in (
        c.MessagePin(room="r", target=5),
        c.MessageEdit(room="r", target=6, text="x"),
        c.MessageSend(room="r", text="x", reply_to=7),
    ):
        with pytest.raises(Rejected) as refused:
            await house.do(OWNER, command)
        assert refused.value.code == "not_found"


async def test_a_node_that_is_behind_what_is_gone_has_its_listeners_begin_anew(house: House) -> None:
    """As after a long partition: commands are decided anew, and nobody is shown a hole."""
    ear = Ear(Actor(user="ear", name="Ear"))
    await house.join(ear=ear)
    other = make_service(house.pruner, house.clock)
    for number in range(5):
        house.clock.now += STEP_MS
        await other.answer(OWNER, c.MessageSend(room="r", text=f"elsewhere {number}"))
    await house.prune_to(25)
    await house.say("here")
    house.service.hub.flush_all()
    assert [(event["type"], event["pos"]) for event in ear.heard if "pos" in event] == [
        ("room.reset", 26),
        ("message.created", 27),
    ]
    assert (house.host.room.pos, house.host.first_pos) == (27, 25)
    assert (await house.join(since=21))["recovered"] is False


ACTS = st.lists(
    st.tuples(st.sampled_from(["say", "join", "join", "prune", "note", "drop"]), st.integers(0, 40)), max_size=30
)


@given(acts=ACTS, step=st.integers(1, 6), meanwhile=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_a_part(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]], step: int, meanwhile: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "STEP", step)
        patch.setattr(pruning, "PAUSE_S", 0.0)
        asyncio.run(_play(tmp_path_factory.mktemp("part"), acts, meanwhile))


async def _play(folder: Path, acts: list[tuple[str, int]], meanwhile: bool) -> None:
    house = House(folder)
    await house.furnish()
    first = 1
    try:
        for act, number in acts:
            last = house.host.room.pos
            match act:
                case "say":
                    await house.say("more", reply_to=last if number % 2 else None)
                case "prune" if meanwhile:
                    first = max(first, min(number, last))
                    house.store.act = _pruning(house, first)
                case "prune":
                    first = max(first, min(number, last))
                    await house.prune_to(first)
                case "note":
                    await house.noted()
                case "drop":
                    house.service.rings.drop("r")
                case _:
                    await house.join(since=min(number, last))
        await house.prune_to(first)
        await house.noted()
        for since in range(house.host.room.pos + 1):
            assert (await house.join(since=since))["recovered"] is (since >= first - 1)
    finally:
        await house.close()


def _pruning(house: House, first: int) -> Callable[[], Any]:
    return lambda: house.prune_to(first)
