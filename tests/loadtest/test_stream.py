"""That every listener got all of a room is checked, not assumed: whatever differs is found, and called by its name."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.codec import CODECS, JSON, Codec, Seen
from loadtest.feed import Feed, Place
from loadtest.latency import Deliveries
from loadtest.stream import RoomStream
from loadtest.wire import BINARY, PING, TEXT
from realtime.gateway.frames import encode


def created(pos: int, **more: Any) -> dict[str, Any]:
    return {"type": "message.created", "room": "r", "pos": pos, "message": {"text": f"0 {pos} text"}} | more


class Room:
    """One room as a process sees it, and its connections."""

    def __init__(self, codec: Codec = JSON, live: bool = False, pos: int = 0) -> None:
        self.codec = codec
        self.found: list[str] = []
        self.private: list[int] = []
        self.deliveries = Deliveries()
        self.stream = RoomStream("r", pos, codec, live, lambda kind, _: self.found.append(kind), self.deliveries)

    def frame(self, thing: dict[str, Any]) -> bytes:
        return encode(self.codec.encode(thing), self.codec.opcode)

    def event(self, pos: int, **more: Any) -> bytes:
        return self.frame(created(pos, **more))

    def events(self, *positions: int) -> bytes:
        return b"".join(map(self.event, positions))

    def skip(self, first: int, last: int) -> bytes:
        return self.frame({"type": "room.skip", "room": "r", "from": first, "to": last})

    def reply(self, pos: int) -> bytes:
        return self.frame({"type": "ok", "id": pos, "pos": pos, "room": "r"})

    def connect(self, who: str = "u", pos: int = 0) -> Feed:
        feed = Feed(self.codec)
        feed.places["r"] = Place(self.stream, pos, who)
        return feed

    def feed(self, feed: Feed, data: bytes) -> None:
        feed.take(data, self.heard)

    def heard(self, opcode: int, payload: bytes, seen: Seen | None) -> None:
        self.private.append(opcode)

    def end(self, *feeds: Feed) -> list[str]:
        """The failures found when all is over."""
        for feed in feeds:
            feed.places["r"].own_up(at_once=True)
        self.stream.resync(at_once=True)
        return self.found

    def delivered(self) -> tuple[int, int]:
        self.stream.count()
        return self.deliveries.take()[:2]


def reached(feed: Feed) -> int:
    return feed.places["r"].reached


@pytest.fixture(params=["json", "msgpack"])
def room(request: pytest.FixtureRequest) -> Room:
    return Room(CODECS[request.param])


def test_the_first_to_receive_adds_and_the_others_are_compared(room: Room) -> None:
    first, second = room.connect(), room.connect()
    room.feed(first, room.events(1, 2))
    assert (reached(first), reached(second), room.stream.pos) == (2, 0, 2)
    room.feed(second, room.events(1, 2, 3))
    assert (reached(first), reached(second), room.stream.pos) == (2, 3, 3)
    assert room.delivered() == (5, 0)
    assert room.end(first, second) == []


def test_replies_and_pings_between_events_are_handed_on(room: Room) -> None:
    first, second = room.connect(), room.connect()
    room.feed(first, room.events(1, 2))
    room.feed(second, room.reply(1) + room.event(1) + encode(b"beat", PING) + room.event(2) + room.reply(2))
    assert room.private == [room.codec.opcode, PING, room.codec.opcode]
    assert (reached(second), room.stream.pos, room.end(first, second)) == (2, 2, [])


def test_a_skip_takes_the_place_of_what_it_announces(room: Room) -> None:
    feed = room.connect()
    room.feed(feed, room.event(1) + room.skip(2, 4) + room.event(5))
    assert (reached(feed), room.delivered()) == (5, (2, 3))


CASES = {
    "hole": ([1, 3], ["hole"]),
    "late start": ([2], ["hole"]),
    "double": ([1, 1, 2], ["double"]),
    "repeat": ([1, 2, 1], ["double"]),
    "swapped": ([1, 3, 2, 4], ["order"]),
    "two holes": ([2, 4, 5], ["hole", "hole"]),
    "one wide hole": ([1, 5], ["hole"]),
}


@pytest.mark.parametrize(("positions", "found"), CASES.values(), ids=CASES)
def test_what_the_first_to_receive_is_sent_wrong_is_found(room: Room, positions: list[int], found: list[str]) -> None:
    feed = room.connect()
    room.feed(feed, room.events(*positions))
    assert room.end(feed) == found


@pytest.mark.parametrize(("positions", "found"), CASES.values(), ids=CASES)
def test_what_another_is_sent_wrong_is_found(room: Room, positions: list[int], found: list[str]) -> None:
    first, other = room.connect(), room.connect()
    room.feed(first, room.events(1, 2, 3, 4, 5))
    room.feed(other, room.events(*positions))
    assert room.end(first, other) == found


@pytest.mark.parametrize(("positions", "found"), CASES.values(), ids=CASES)
def test_after_a_failure_the_rest_is_followed_again(room: Room, positions: list[int], found: list[str]) -> None:
    first, other = room.connect(), room.connect()
    room.feed(first, room.events(*positions, 6, 7))
    room.feed(other, room.events(1, 2, 3, 4, 5, 6, 7))
    room.feed(first, room.event(8))
    room.feed(other, room.event(8))
    assert (reached(first), reached(other), room.stream.pos) == (8, 8, 8)
    wrong = list(room.end(first))
    assert set(found) <= set(wrong)
    assert room.end(other) == wrong


def test_other_bytes_than_the_others_got_are_wrong(room: Room) -> None:
    first, other = room.connect(), room.connect()
    room.feed(first, room.events(1, 2))
    room.feed(other, room.event(1) + room.event(2, message={"text": "0 2 txet"}))
    assert room.end(first, other) == ["bytes"]


def test_other_bytes_that_came_before_the_others_are_wrong(room: Room) -> None:
    first, ahead = room.connect(), room.connect(pos=1)
    room.feed(ahead, room.event(2, message={"text": "0 2 txet"}))
    room.feed(first, room.events(1, 2))
    assert room.end(first, ahead) == ["bytes"]


def test_who_has_joined_ahead_of_what_others_have_received_meets_them(room: Room) -> None:
    first, ahead = room.connect(), room.connect(pos=2)
    room.feed(ahead, room.event(3))
    assert (reached(ahead), room.stream.pos) == (3, 0)
    room.feed(first, room.events(1, 2, 3))
    room.feed(ahead, room.event(4))
    assert (reached(ahead), room.stream.pos, room.end(first, ahead)) == (4, 4, [])


def test_a_skip_for_one_only_is_a_hole_unless_the_room_is_live(room: Room) -> None:
    first, other = room.connect(), room.connect()
    room.feed(first, room.events(1, 2, 3))
    room.feed(other, room.event(1) + room.skip(2, 2) + room.event(3))
    assert room.end(first, other) == ["hole"]
    live = Room(room.codec, live=True)
    first, other = live.connect(), live.connect()
    live.feed(first, live.events(1, 2, 3))
    live.feed(other, live.event(1) + live.skip(2, 2) + live.event(3))
    assert (live.end(first, other), reached(other), live.delivered()) == ([], 3, (5, 1))


def test_in_a_live_room_a_sender_may_see_his_own_comment_among_skipped_ones(room: Room) -> None:
    live = Room(room.codec, live=True)
    first, sender = live.connect(), live.connect()
    live.feed(first, live.event(1) + live.skip(2, 6) + live.event(7))
    live.feed(sender, live.event(1) + live.skip(2, 3) + live.event(4) + live.skip(5, 6) + live.event(7))
    live.feed(sender, live.event(8))
    assert (live.end(first, sender), reached(sender), live.stream.pos) == ([], 8, 8)


def test_what_is_no_comment_is_skipped_for_nobody_in_a_live_room_either(room: Room) -> None:
    live = Room(room.codec, live=True)
    first, other = live.connect(), live.connect()
    live.feed(first, live.event(1) + live.frame({"type": "member.banned", "room": "r", "pos": 2}))
    live.feed(other, live.event(1) + live.skip(2, 2))
    assert live.end(first, other) == ["hole"]


def test_a_recovery_is_compared_with_what_others_received(room: Room) -> None:
    first, gone = room.connect(), room.connect()
    room.feed(first, room.events(1, 2, 3))
    room.feed(gone, room.event(1) + room.event(2)[:5])
    gone.interrupted()
    assert reached(gone) == 1
    gone.places["r"].recover(room.codec.encode([created(2), created(3)]), 3)
    room.feed(gone, room.event(4))
    assert (reached(gone), room.end(first, gone)) == (4, [])
    assert room.delivered() == (7, 0)


def test_a_recovery_of_what_nobody_else_received_is_the_reference(room: Room) -> None:
    first, other = room.connect(), room.connect()
    first.places["r"].recover(room.codec.encode([created(1), created(2)]), 2)
    other.places["r"].recover(room.codec.encode([created(1), created(2)]), 2)
    assert (reached(first), reached(other), room.stream.pos) == (2, 2, 2)
    assert room.end(first, other) == []


@pytest.mark.parametrize(
    ("events", "found"), [([1], ["hole"]), ([2], ["hole"]), ([1, 1, 2], ["double"]), ([2, 1], ["order"])]
)
def test_a_recovery_with_something_wrong_is_found(room: Room, events: list[int], found: list[str]) -> None:
    feed = room.connect()
    feed.places["r"].recover(room.codec.encode(list(map(created, events))), 2)
    assert room.end(feed) == found


def test_what_is_missing_in_the_end_is_seen(room: Room) -> None:
    first, late = room.connect(), room.connect()
    room.feed(first, room.events(1, 2))
    room.feed(late, room.events(1, 2)[:-1])
    assert (reached(first), reached(late)) == (2, 1)


def test_processes_that_received_the_same_account_for_the_same(room: Room) -> None:
    other = Room(room.codec)
    room.feed(room.connect(), room.events(1, 2))
    other.feed(other.connect(), other.events(1, 2))
    assert room.stream.settle() == other.stream.settle()
    room.feed(room.connect(pos=2), room.event(3))
    other.feed(other.connect(pos=2), other.event(3, message={"text": "0 3 txet"}))
    one, two = room.stream.settle(), other.stream.settle()
    assert (one.pos, one.events, one.messages) == (two.pos, two.events, two.messages) == (3, 1, 1)
    assert one.digest != two.digest
    assert one.text_sum != two.text_sum


def test_what_all_have_received_is_forgotten(room: Room) -> None:
    feed = room.connect()
    room.feed(feed, room.events(1, 2, 3))
    room.stream.count()
    cut = room.stream.trim(2)
    feed.places["r"].offset -= cut
    assert (reached(feed), len(room.stream.data)) == (3, len(room.event(3)))
    room.feed(feed, room.event(4))
    assert (reached(feed), room.stream.pos_at(0), room.end(feed)) == (4, 2, [])


def test_the_rooms_of_one_connection_are_told_apart(room: Room) -> None:
    feed, other = room.connect(), Room(room.codec)
    other.stream.room = "s"
    feed.places["s"] = Place(other.stream, 0, "u")
    elsewhere = room.frame(created(1, room="s"))
    room.feed(feed, room.event(1) + elsewhere + room.event(2))
    assert (room.stream.pos, other.stream.pos, room.end(feed)) == (2, 1, [])
    again = room.connect()
    again.places["s"] = Place(other.stream, 0, "v")
    room.feed(again, room.event(1) + room.event(2)[:9])
    room.feed(again, room.event(2)[9:] + elsewhere)
    assert (reached(again), again.places["s"].reached, room.end(again)) == (2, 1, [])


@given(st.data())
def test_bytes_may_come_in_any_pieces_and_any_turn(data: st.DataObject) -> None:
    room = Room()
    count = data.draw(st.integers(1, 6))
    feeds = [room.connect() for _ in range(3)]
    pieces: list[tuple[int, bytes]] = []
    for i, _ in enumerate(feeds):
        frames = []
        for pos in range(1, count + 1):
            frames += [room.reply(pos)] * data.draw(st.integers(0, 2)) + [room.event(pos)]
        sent = b"".join([*frames, room.reply(99)])
        cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
        pieces += [(i, sent[start:end]) for start, end in pairwise([0, *cuts, len(sent)])]
    turns = data.draw(st.permutations([i for i, _ in pieces]))
    for i in turns:
        piece = next(piece for piece in pieces if piece[0] == i)
        pieces.remove(piece)
        room.feed(feeds[i], piece[1])
    assert [reached(feed) for feed in feeds] == [count] * 3
    assert room.end(*feeds) == []
    assert room.delivered() == (3 * count, 0)
    assert set(room.private) <= {TEXT}


def test_what_is_no_object_is_said_to_be_none() -> None:
    room = Room()
    with pytest.raises(msgspec.DecodeError):
        room.feed(room.connect(), encode(b"{", TEXT))
    room.feed(room.connect(), encode(b"{", BINARY))
    assert room.private == [BINARY]
