"""A giant live room: what it costs a listener is bounded, however much is said, and nobody is left in the dark."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from realtime.fanout import hub as hub_module
from realtime.fanout import turns
from realtime.fanout.channel import Channel
from realtime.fanout.hub import Hub
from realtime.fanout.sparing import Sparing
from rooms import events as e
from rooms.actors import Actor, By, Role, Viewer

RATE = 30
SECONDS = 4
TICK_MS = 20


class Lines:
    """JSON, a line an object."""

    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event) + b"\n"


LINES = Lines()


class Ear:
    connection = None

    def __init__(self, user: str):
        self.user = user
        self.actor = Actor(user=user, name=user)
        self.form = LINES
        self.unsent = 0
        self.lagging = False
        self.buffers: list[bytes] = []

    @property
    def out(self) -> Callable[[bytes], object]:
        return self.buffers.append

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        raise AssertionError("the hub expels nobody by itself")

    def too_slow(self) -> None:
        raise AssertionError("nobody is slow here")

    @property
    def heard(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in b"".join(self.buffers).splitlines()]

    @property
    def comments(self) -> list[tuple[int, str]]:
        return [(event["pos"], event["by"]["id"]) for event in self.heard if event["type"] == "message.created"]

    def check(self, last: int) -> None:
        """Every position from 1 to `last` was accounted for, once and in order."""
        pos = 0
        for event in self.heard:
            first, to = (event["from"], event["to"]) if event["type"] == "room.skip" else (event["pos"], event["pos"])
            assert first == pos + 1, f"{self.user} was at {pos} and heard {event}"
            pos = to
        assert pos == last


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def said(pos: int, sender: str, role: str = "none") -> e.MessageCreated:
    body = e.Body(text="what a goal", n=pos, mentions=())
    return e.MessageCreated(room="r", pos=pos, at=1, by=By(sender, sender, role), message=body)


class House:
    """A live room; what is published in it is written every TICK_MS."""

    def __init__(self, clock: Clock, rate: int = RATE, names: int = 200):
        self.clock = clock
        self.hub = Hub(0, lambda channel: None, lambda room: None, lambda seconds: None, Sparing(rate, names))
        self.pos = 0
        self.ticks: list[int] = []
        """The last position of each tick."""

    @property
    def channel(self) -> Channel:
        return self.hub.channel("r", "epoch", live=True)

    def listen(self, user: str, role: Role = Role.NONE) -> Ear:
        ear = Ear(user)
        self.hub.add(self.channel, ear, Viewer(user, role))
        return ear

    def comment(self, sender: str, role: str = "none") -> e.MessageCreated:
        self.pos += 1
        return said(self.pos, sender, role)

    def tick(self, *events: Any) -> None:
        self.clock.now += TICK_MS / 1_000
        self.hub.publish("r", events)
        self.hub.flush(self.channel)
        self.ticks.append(self.pos)

    def talk(self, senders: Iterator[str], a_second: int) -> None:
        """So many comments a second, for SECONDS."""
        due = 0
        for _ in range(SECONDS * 1_000 // TICK_MS):
            due += a_second * TICK_MS
            self.tick(*(self.comment(next(senders)) for _ in range(due // 1_000)))
            due %= 1_000


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> House:
    clock = Clock()
    monkeypatch.setattr(hub_module, "perf_counter", clock)
    return House(clock)


def crowd(size: int) -> Iterator[str]:
    while True:
        yield from (f"u{i}" for i in range(size))


async def test_a_thousand_comments_a_second_are_thirty_to_each_of_fifty_listeners(house: House) -> None:
    senders = [house.listen(f"u{i}") for i in range(24)]
    silent = [house.listen(f"quiet{i}") for i in range(25)]
    moderator = house.listen("mo", Role.MODERATOR)
    house.talk(crowd(500), 1_000)
    assert house.pos == SECONDS * 1_000
    for ear in [*senders, *silent, moderator]:
        ear.check(house.pos)
    assert len(moderator.comments) == house.pos
    shown = silent[0].comments
    assert SECONDS * RATE <= len(shown) <= (SECONDS + 1) * RATE
    for ear in senders:
        own = [(pos, sender) for pos, sender in moderator.comments if sender == ear.user]
        assert len(own) == SECONDS * 2
        assert ear.comments == sorted({*shown, *own})
    for ear in silent:
        assert len(ear.buffers) == len(silent[0].buffers) <= len(house.ticks)
        assert all(one is other for one, other in zip(ear.buffers, silent[0].buffers, strict=True))
        assert len(ear.heard) <= 2 * len(shown) + len(ear.buffers)


async def test_what_a_listener_gets_does_not_grow_with_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []
    for a_second in (1_000, 5_000):
        clock = Clock()
        monkeypatch.setattr(hub_module, "perf_counter", clock)
        house = House(clock)
        ear = house.listen("quiet")
        house.talk(crowd(500), a_second)
        ear.check(house.pos)
        costs.append((len(ear.heard), sum(map(len, ear.buffers))))
    (frames, size), (more_frames, more_size) = costs
    assert more_frames <= 1.1 * frames
    assert more_size <= 1.1 * size


async def test_a_room_below_the_rate_is_spared_nothing(house: House) -> None:
    ear = house.listen("quiet")
    house.talk(crowd(500), RATE)
    assert [pos for pos, _ in ear.comments] == list(range(1, house.pos + 1))
    assert list(house.hub.sparing.announcements()) == []


async def test_moderators_comments_and_other_events_are_never_spared(house: House) -> None:
    ear = house.listen("quiet")
    for _ in range(50):
        flood = [house.comment(f"u{i}") for i in range(20)]
        staff = house.comment("mo", "moderator")
        house.pos += 1
        pinned = e.MessagePinned(room="r", pos=house.pos, at=1, by=staff.by, target=staff.pos)
        house.tick(*flood, staff, pinned)
    ear.check(house.pos)
    assert sum(sender == "mo" for _, sender in ear.comments) == 50
    assert sum(event["type"] == "message.pinned" for event in ear.heard) == 50


async def test_who_comes_while_events_wait_is_spared_the_same(house: House) -> None:
    """And hears of its own what came after it, once."""
    early = house.listen("early")
    house.tick(*(house.comment("flooder") for _ in range(RATE)))
    house.hub.publish("r", [house.comment("bob") for _ in range(3)])
    before = house.pos
    bob, other = house.listen("bob"), house.listen("other")
    house.tick(*(house.comment(sender) for sender in ("flooder", "bob", "flooder")))
    early.check(house.pos)
    assert [event["type"] for event in other.heard] == ["room.skip"]
    assert (other.heard[0]["from"], other.heard[0]["to"]) == (before + 1, house.pos)
    assert bob.comments == [(before + 2, "bob")]


async def test_every_connection_of_a_sender_gets_what_is_their_own(house: House) -> None:
    desk, phone, other = house.listen("bob"), house.listen("bob"), house.listen("cem")
    house.tick(*(house.comment("flooder") for _ in range(RATE)))
    house.tick(house.comment("flooder"), house.comment("bob"), house.comment("flooder"))
    for ear in (desk, phone):
        assert ear.comments[-1] == (house.pos - 1, "bob")
        ear.check(house.pos)
    assert other.comments[-1] == (RATE, "flooder")


async def test_a_new_moderator_is_spared_nothing_from_then_on(house: House) -> None:
    ear = house.listen("mo")
    house.tick(*(house.comment("flooder") for _ in range(2 * RATE)))
    house.hub.set_viewer("r", ear, Viewer("mo", Role.MODERATOR))
    house.tick(*(house.comment("flooder") for _ in range(2 * RATE)))
    ear.check(house.pos)
    assert [pos for pos, _ in ear.comments][-2 * RATE :] == list(range(2 * RATE + 1, 4 * RATE + 1))


async def test_in_a_crowd_who_joins_and_leaves_is_told_to_them_and_the_moderators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(hub_module, "perf_counter", clock)
    house = House(clock, names=3)
    moderator, bob, cem, dan = (house.listen(user) for user in ("mo", "bob", "cem", "dan"))
    house.hub.set_viewer("r", moderator, Viewer("mo", Role.MODERATOR))
    by = By("bob", "Bob", "member")
    house.tick(e.MemberJoined(room="r", pos=1, at=1, by=by, user="bob", name="Bob"))
    house.tick(e.MemberLeft(room="r", pos=2, at=1, by=by, user="bob", name="Bob"))
    for ear in (moderator, bob):
        assert [event["type"] for event in ear.heard] == ["member.joined", "member.left"]
    for ear in (cem, dan):
        assert [event["type"] for event in ear.heard] == ["room.skip", "room.skip"]
        ear.check(2)


async def test_what_is_spared_is_counted_and_told(house: House) -> None:
    ear = house.listen("quiet")
    house.tick(*(house.comment("flooder") for _ in range(2 * RATE)))
    shown = len(ear.comments)
    assert house.hub.counters.spared == 2 * RATE - shown
    house.hub.tell_sampled()
    house.hub.flush(house.channel)
    assert ear.heard[-1] == {"type": "comments.sampled", "room": "r", "shown": shown, "total": 2 * RATE}


async def test_who_lags_is_spared_all_comments_but_their_own_and_moderators(house: House) -> None:
    ear = house.listen("bob")
    house.hub.lags("r", ear)
    ear.lagging = True
    house.tick(*(house.comment(sender) for sender in ("cem", "bob", "cem", "dan")), house.comment("mo", "owner"))
    assert ear.comments == [(2, "bob"), (5, "mo")]
    ear.check(5)
    house.hub.keeps_up("r", ear)
    house.tick(house.comment("cem"))
    assert ear.comments[-1] == (6, "cem")


async def test_while_comments_are_sampled_the_room_writes_in_longer_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(hub_module, "perf_counter", clock)
    monkeypatch.setattr(turns, "perf_counter", clock)
    house = House(clock, rate=1)
    ear = house.listen("quiet")
    house.tick(*(house.comment("flooder") for _ in range(10)))
    house.hub.publish("r", [house.comment("flooder")], urgent=True)
    await asyncio.sleep(0)
    house.hub.publish("r", [house.comment("flooder")], urgent=True)
    assert len(ear.buffers) == 1
    async with asyncio.timeout(10):
        while len(ear.buffers) == 1:  # noqa: ASYNC110 - the ear tells nobody
            await asyncio.sleep(0.001)
    assert ear.heard[-1] == {"type": "room.skip", "room": "r", "from": 11, "to": 12}
