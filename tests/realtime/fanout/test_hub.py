"""The hub: who hears what, in which form, and what it costs to write."""

import asyncio
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
from tests.support.traces import TraceKept

ANN = By("ann", "Ann", "owner")


class Lines:
    """JSON, a line an object."""

    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event) + b"\n"


class Loud:
    """Another way of writing."""

    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event).upper() + b"\n"


LINES, LOUD = Lines(), Loud()


class Ear:
    connection = None

    def __init__(self, user: str, form: Any = LINES):
        self.user = user
        self.actor = Actor(user=user, name=user.title())
        self.form = form
        self.unsent = 0
        self.lagging = False
        self.buffers: list[bytes] = []
        self.given_up = 0

    def out(self, frames: bytes) -> None:
        self.buffers.append(frames)

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        raise AssertionError("the hub expels nobody by itself")

    def too_slow(self) -> None:
        self.given_up += 1

    @property
    def heard(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in b"".join(self.buffers).splitlines()]


class House:
    def __init__(self, unsent_limit: int = 1_000):
        self.changed: list[str] = []
        self.emptied: list[str] = []
        self.flushed: list[float] = []
        self.hub = Hub(
            unsent_limit,
            lambda channel: self.changed.append(channel.room),
            self.emptied.append,
            self.flushed.append,
            Sparing(0, 1_000),
        )

    @property
    def channel(self) -> Channel:
        return self.hub.channel("r", "epoch")

    def listen(self, user: str, role: Role = Role.MEMBER, from_pos: int = 1, form: Any = LINES) -> Ear:
        ear = Ear(user, form)
        self.hub.add(self.channel, ear, Viewer(user, role, from_pos))
        return ear

    def say(self, *events: Any) -> None:
        self.hub.publish("r", events)
        self.hub.flush(self.channel)


@pytest.fixture
async def house() -> House:
    return House()


def said(pos: int, text: str = "hello", reply_to: int | None = None) -> e.MessageCreated:
    quote = e.Quote(reply_to, ANN, "before") if reply_to else None
    body = e.Body(text=text, n=pos, reply_to=quote, mentions=())
    return e.MessageCreated(room="r", pos=pos, at=1, by=ANN, message=body)


def muted(pos: int, user: str) -> e.MemberMuted:
    return e.MemberMuted(room="r", pos=pos, at=1, by=ANN, user=user, name=user, reason="spam")


async def test_one_buffer_for_all_of_a_form(house: House) -> None:
    ears = [house.listen(f"u{i}") for i in range(3)]
    loud = house.listen("loud", form=LOUD)
    house.say(said(1), said(2))
    assert ears[0].buffers[0] is ears[1].buffers[0] is ears[2].buffers[0]
    assert [event["pos"] for event in ears[0].heard] == [1, 2]
    assert len(ears[0].buffers) == 1
    assert loud.buffers[0] == ears[0].buffers[0].upper()
    assert house.hub.counters.deliveries == 4 * 2
    assert len(house.flushed) == 1


async def test_publishing_writes_within_the_turn_of_the_loop(house: House) -> None:
    ear = house.listen("bob")
    house.hub.publish("r", [said(1)])
    house.hub.publish("r", [said(2)])
    assert ear.buffers == []
    await asyncio.sleep(0)
    assert len(ear.buffers) == 1


class Clock:
    """Stands still but for those who move it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowEar(Ear):
    """Writing to it takes `seconds` of the clock."""

    def __init__(self, clock: Clock, seconds: float):
        super().__init__("slow")
        self.clock = clock
        self.seconds = seconds

    def out(self, frames: bytes) -> None:
        self.clock.now += self.seconds
        super().out(frames)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(hub_module, "perf_counter", clock)
    monkeypatch.setattr(turns, "perf_counter", clock)
    return clock


async def test_a_room_rests_after_writing_and_joins_what_comes_meanwhile(house: House, clock: Clock) -> None:
    ear = SlowEar(clock, 0.005)
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say(said(1))
    house.hub.publish("r", [said(2)])
    await asyncio.sleep(0)
    house.hub.publish("r", [said(3)])
    assert len(ear.buffers) == 1
    async with asyncio.timeout(10):
        while len(ear.buffers) == 1:  # noqa: ASYNC110 - the ear tells nobody
            await asyncio.sleep(0.001)
    assert [event["pos"] for event in ear.heard] == [1, 2, 3]
    assert len(ear.buffers) == 2


async def test_who_comes_or_goes_while_a_room_rests_hears_what_was_said_meanwhile(house: House, clock: Clock) -> None:
    ear = SlowEar(clock, 1_000.0)
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say(said(1))
    house.hub.publish("r", [said(2)])
    bob = house.listen("bob")
    house.hub.publish("r", [said(3)])
    house.hub.remove("r", bob)
    assert [event["pos"] for event in bob.heard] == [3]
    assert [event["pos"] for event in ear.heard] == [1]
    house.hub.flush(house.channel)
    assert [event["pos"] for event in ear.heard] == [1, 2, 3]


async def test_a_room_that_has_rested_writes_at_once(house: House, clock: Clock) -> None:
    ear = SlowEar(clock, 10.0)
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say(said(1))
    clock.now += turns.REST * 10.0
    house.hub.publish("r", [said(2)])
    await asyncio.sleep(0)
    assert [event["pos"] for event in ear.heard] == [1, 2]
    assert house.flushed[-1] == 10.0


async def test_reasons_are_for_moderators_and_the_one_concerned(house: House) -> None:
    moderator, target, other = house.listen("mo", Role.MODERATOR), house.listen("bob"), house.listen("cem")
    house.say(said(1), muted(2, "bob"), said(3))
    assert [event["pos"] for event in other.heard] == [1, 2, 3]
    assert "reason" not in other.heard[1]
    assert other.heard[1]["by"]["id"] == ""
    for told in (moderator, target):
        assert [event["pos"] for event in told.heard] == [1, 2, 3]
        assert told.heard[1]["reason"] == "spam"


async def test_a_role_changes_what_is_seen_from_then_on(house: House) -> None:
    ear = house.listen("mo")
    house.hub.publish("r", [muted(1, "bob")])
    house.hub.set_viewer("r", ear, Viewer("mo", Role.MODERATOR))
    house.say(muted(2, "bob"))
    assert ["reason" in event for event in ear.heard] == [False, True]


async def test_a_history_that_begins_with_joining_holds_live_too(house: House) -> None:
    old, new = house.listen("old"), house.listen("new", from_pos=5)
    edit = e.MessageEdited(
        room="r", pos=6, at=1, by=ANN, target=2, message=e.Body(text="secret", n=2, reply_to=None, mentions=())
    )
    house.say(edit, said(7, reply_to=3), said(8, reply_to=6))
    assert new.heard[0] == {"type": "room.skip", "room": "r", "from": 6, "to": 6}
    assert new.heard[1]["message"]["reply_to"] == {"pos": 3}
    assert new.heard[2]["message"]["reply_to"]["text"] == "before"
    assert "secret" in str(old.heard[0])
    assert old.heard[1]["message"]["reply_to"]["text"] == "before"


async def test_setting_a_viewer_makes_no_listener(house: House) -> None:
    house.listen("bob")
    stranger = Ear("eve")
    house.hub.set_viewer("r", stranger, Viewer("eve", Role.MODERATOR))
    house.say(said(1))
    assert stranger.buffers == []


async def test_a_slow_listener_is_given_up_and_delays_nobody(house: House) -> None:
    slow, quick = house.listen("slow"), house.listen("quick")
    slow.lagging = True
    house.hub.lags("r", slow)
    slow.unsent = 1_000
    house.say(said(1))
    assert slow.given_up == 0
    slow.unsent = 1_001
    house.say(said(2))
    assert slow.given_up == 1
    assert quick.given_up == 0
    assert len(quick.buffers) == 2
    assert house.hub.counters.slow == 1


async def test_leaving_writes_what_was_published_before(house: House) -> None:
    ear, other = house.listen("bob"), house.listen("cem")
    house.hub.publish("r", [said(1)])
    assert house.hub.remove("r", ear)
    assert not house.hub.remove("r", ear)
    house.say(said(2))
    assert [event["pos"] for event in ear.heard] == [1]
    assert [event["pos"] for event in other.heard] == [1, 2]
    assert house.emptied == []
    house.hub.remove("r", other)
    assert house.emptied == ["r"]
    assert house.hub.channels == {}


async def test_presence_counts_users_not_connections(house: House) -> None:
    one, two = house.listen("bob"), house.listen("bob")
    assert house.changed == ["r"]
    assert house.channel.arrived == {"bob": "Bob"}
    house.hub.remove("r", one)
    assert house.changed == ["r"]
    house.channel.arrived.clear()
    house.listen("cem")
    house.hub.remove("r", two)
    assert house.channel.left == {"bob": "Bob"}
    house.listen("bob")
    assert house.channel.left == {}
    assert set(house.hub.users("r")) == {"bob", "cem"}


async def some_turns() -> None:
    """Lets the loop come round, as often as any of these tests needs."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_nobody_who_comes_or_goes_makes_the_room_write(house: House) -> None:
    """Joining a large room costs as much as joining a small one, also while events wait."""
    ears = [house.listen(f"u{i}") for i in range(3)]
    house.hub.publish("r", [said(1)])
    new = house.listen("new")
    house.hub.publish("r", [said(2)])
    newer = house.listen("newer")
    house.hub.remove("r", ears[0])
    assert [len(ear.buffers) for ear in (*ears, new, newer)] == [1, 0, 0, 0, 0]
    house.hub.publish("r", [said(3)])
    house.hub.flush(house.channel)
    heard = [[event["pos"] for event in ear.heard] for ear in (*ears, new, newer)]
    assert heard == [[1, 2], [1, 2, 3], [1, 2, 3], [2, 3], [3]]


async def test_what_is_urgent_does_not_wait_for_the_rest_to_end(house: House, clock: Clock) -> None:
    ear = SlowEar(clock, 1_000.0)
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say(said(1))
    house.hub.publish("r", [said(2)])
    await some_turns()
    assert len(ear.buffers) == 1
    house.hub.publish("r", [said(3)], urgent=True)
    await some_turns()
    assert [event["pos"] for event in ear.heard] == [1, 2, 3]
    assert len(ear.buffers) == 2


class Hall:
    """Rooms whose every write takes `seconds` of the clock, and the order in which they were written to."""

    def __init__(self, clock: Clock, seconds: float):
        self.order: list[str] = []
        self._clock = clock
        self._seconds = seconds
        self.hub = Hub(0, lambda channel: None, lambda room: None, lambda seconds: None, Sparing(0, 1_000))

    def fill(self, room: str, listeners: int) -> list[Ear]:
        channel = self.hub.channel(room, "epoch")
        ears = [RoomEar(f"{room}{i}", room, self) for i in range(listeners)]
        for ear in ears:
            self.hub.add(channel, ear, Viewer(ear.user, Role.MEMBER, 1))
        return list(ears)

    def wrote(self, room: str) -> None:
        self._clock.now += self._seconds
        self.order.append(room)


class RoomEar(Ear):
    def __init__(self, user: str, room: str, hall: Hall):
        super().__init__(user)
        self._room = room
        self._hall = hall

    def out(self, frames: bytes) -> None:
        self._hall.wrote(self._room)
        super().out(frames)


async def test_a_turn_is_bounded_and_quiet_rooms_come_first(clock: Clock) -> None:
    """A room of a thousand is written to in slices; between any two of them small rooms have their turn."""
    hall = Hall(clock, 0.0004)
    large = hall.fill("large", 1_000)
    small = {f"small{i}": hall.fill(f"small{i}", 2) for i in range(20)}
    hall.hub.publish("large", [said(1)])
    await asyncio.sleep(0)
    begun = len(hall.order)
    assert 0 < begun <= 2 * hub_module.SLICE
    for room in small:
        hall.hub.publish(room, [said(1)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(hall.order) < len(large)
    await some_turns()
    last_small = max(at for at, room in enumerate(hall.order) if room != "large")
    assert last_small < len(large)
    assert all(len(ear.buffers) == 1 for ears in (large, *small.values()) for ear in ears)


async def test_a_large_room_has_its_turn_however_busy_the_small_ones_are(clock: Clock) -> None:
    hall = Hall(clock, 0.0004)
    large = hall.fill("large", 500)
    small = [f"small{i}" for i in range(20)]
    for room in small:
        hall.fill(room, 2)
    hall.hub.publish("large", [said(1)])
    for _ in range(30):
        for room in small:
            hall.hub.publish(room, [said(1)])
        await asyncio.sleep(0)
    assert all(ear.buffers for ear in large)


async def test_who_leaves_amid_a_tick_has_what_was_published_and_who_comes_has_not(clock: Clock) -> None:
    hall = Hall(clock, 0.0004)
    ears = hall.fill("r", 300)
    channel = hall.hub.channel("r", "epoch")
    hall.hub.publish("r", [said(1)])
    await asyncio.sleep(0)
    assert channel.tick
    waiting = [ear for ear in ears if not ear.buffers]
    leaving, gone, moved = waiting[:3]
    hall.hub.publish("r", [said(2)])
    hall.hub.remove("r", leaving)
    hall.hub.remove("r", gone, gone=True)
    hall.hub.set_viewer("r", moved, Viewer(moved.user, Role.MODERATOR))
    new = Ear("new")
    hall.hub.add(channel, new, Viewer("new", Role.MEMBER, 1))
    hall.hub.publish("r", [muted(3, "u")])
    hall.hub.flush(channel)
    assert [event["pos"] for event in leaving.heard] == [1, 2]
    assert gone.buffers == []
    assert [event["pos"] for event in moved.heard] == [1, 2, 3]
    assert "reason" in moved.heard[2]
    assert [event["pos"] for event in new.heard] == [3]
    others = set(ears) - {leaving, gone, moved}
    assert all([event["pos"] for event in ear.heard] == [1, 2, 3] for ear in others)


async def test_who_lags_is_first_spared_what_is_ephemeral(house: House) -> None:
    slow, quick = house.listen("slow"), house.listen("quick")
    typing = {"type": "typing", "room": "r", "user": "quick"}
    slow.lagging = True
    house.hub.lags("r", slow)
    house.hub.lags("r", slow)
    house.say(said(1), typing, said(2))
    assert [event["type"] for event in slow.heard] == ["message.created"] * 2
    assert [event["type"] for event in quick.heard] == ["message.created", "typing", "message.created"]
    assert house.hub.counters.lagging == 1
    slow.lagging = False
    house.hub.keeps_up("r", slow)
    house.say(typing)
    assert slow.heard[-1]["type"] == "typing"
    assert house.hub.counters.slow == slow.given_up == 0


async def test_a_connection_that_lags_when_it_comes_lags_here_too(house: House) -> None:
    ear = Ear("slow")
    ear.lagging = True
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say({"type": "typing", "room": "r", "user": "bob"}, said(1))
    assert [event["type"] for event in ear.heard] == ["message.created"]


async def test_giving_up_a_listener_amid_a_tick_leaves_the_others_theirs(house: House) -> None:
    class Leaving(Ear):
        def too_slow(self) -> None:
            super().too_slow()
            house.hub.remove("r", self, gone=True)

    slow = Leaving("slow")
    slow.lagging = True
    slow.unsent = 1_001
    house.hub.add(house.channel, slow, Viewer("slow", Role.MEMBER, 1))
    quick = house.listen("quick")
    house.say(said(1))
    assert slow.given_up == 1
    assert slow.buffers == []
    assert [event["pos"] for event in quick.heard] == [1]
    house.say(said(2))
    assert slow.given_up == 1


async def test_a_rest_is_cut_short_when_much_waits_and_what_waits_is_bounded(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "PENDING_EVENTS", 10)
    ear = SlowEar(clock, 1_000.0)
    house.hub.add(house.channel, ear, Viewer("slow", Role.MEMBER, 1))
    house.say(said(1))
    for pos in range(2, 12):
        house.hub.publish("r", [said(pos)])
    await some_turns()
    assert len(ear.buffers) == 1
    house.hub.publish("r", [said(12)])
    await some_turns()
    assert len(ear.buffers) == 2
    assert house.hub.counters.overruns == 0
    house.hub.publish("r", [said(pos) for pos in range(13, 34)])
    assert len(ear.buffers) == 3
    assert house.hub.counters.overruns == 1
    assert [event["pos"] for event in ear.heard] == list(range(1, 34))


async def test_a_trace_ends_when_all_have_been_written_to(clock: Clock) -> None:
    hall = Hall(clock, 0.0004)
    hall.fill("r", 300)
    channel = hall.hub.channel("r", "epoch")
    first, second = TraceKept(), TraceKept()
    hall.hub.trace("r", [first])
    hall.hub.publish("r", [said(1)])
    await asyncio.sleep(0)
    hall.hub.trace("r", [second])
    hall.hub.publish("r", [said(2)])
    assert channel.tick
    assert (first.told, second.told) == (["deliver"], ["deliver"])
    while channel.tick:  # noqa: ASYNC110 - the loop's turns are what is counted
        await asyncio.sleep(0)
    assert (first.told, second.told) == (["deliver", {"listeners": 300}], ["deliver"])
    hall.hub.flush(channel)
    assert second.told == ["deliver", {"listeners": 300}]


async def test_a_trace_of_what_nobody_hears_ends_at_once(house: House) -> None:
    trace = TraceKept()
    house.hub.trace("elsewhere", [trace])
    assert trace.told == [{}]
