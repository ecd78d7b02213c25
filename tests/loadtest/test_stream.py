"""That every listener got all of a room is checked, not assumed: whatever differs is found."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.stream import Follower, RoomStream, Seen, Wrong
from loadtest.wire import PING, TEXT
from realtime.gateway.frames import encode


def event(pos: int, **more: Any) -> bytes:
    return frame({"type": "message.created", "room": "r", "pos": pos, "message": {"text": f"text {pos}"}} | more)


def frame(thing: dict[str, Any]) -> bytes:
    return encode(json.dumps(thing).encode(), TEXT)


def reply(pos: int) -> bytes:
    return frame({"type": "ok", "id": pos, "pos": pos, "room": "r"})


class Room:
    def __init__(self) -> None:
        self.heard: list[Seen] = []
        self.private: list[tuple[int, bytes]] = []
        self.stream = RoomStream("r", 0, self.heard.append)

    def follower(self) -> Follower:
        return Follower(self.stream)

    def feed(self, follower: Follower, data: bytes) -> None:
        follower.feed(data, lambda opcode, payload: self.private.append((opcode, payload)))

    @property
    def positions(self) -> list[int | None]:
        return [seen.pos for seen in self.heard]


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_first_to_receive_adds_and_the_others_are_compared(room: Room) -> None:
    first, second = room.follower(), room.follower()
    room.feed(first, event(1) + event(2))
    assert room.positions == [1, 2]
    assert (first.behind, second.behind) == (0, len(event(1) + event(2)))
    room.feed(second, event(1) + event(2) + event(3))
    assert room.positions == [1, 2, 3]
    assert (first.behind, second.behind) == (len(event(3)), 0)


def test_replies_and_pings_between_events_are_handed_on(room: Room) -> None:
    first, second = room.follower(), room.follower()
    room.feed(first, event(1) + event(2))
    room.feed(second, reply(1) + event(1) + encode(b"beat", PING) + event(2) + reply(2))
    assert [opcode for opcode, _ in room.private] == [TEXT, PING, TEXT]
    assert second.behind == 0
    assert room.positions == [1, 2]


def test_a_skip_takes_the_place_of_what_it_announces(room: Room) -> None:
    follower = room.follower()
    room.feed(follower, event(1) + frame({"type": "room.skip", "room": "r", "from": 2, "to": 4}) + event(5))
    assert room.stream.pos == 5
    assert room.stream.events == 3


@pytest.mark.parametrize("positions", [[2], [1, 3], [1, 1], [1, 2, 1]])
def test_holes_doubles_and_disorder_are_wrong(room: Room, positions: list[int]) -> None:
    with pytest.raises(Wrong):
        room.feed(room.follower(), b"".join(map(event, positions)))


@pytest.mark.parametrize(
    "other",
    [event(1) + event(3), event(2), event(1) + event(1), event(1) + event(2, message={"text": "text 8"})],
    ids=["hole", "late", "double", "altered"],
)
def test_other_bytes_than_the_others_got_are_wrong(room: Room, other: bytes) -> None:
    room.feed(room.follower(), event(1) + event(2) + event(3))
    with pytest.raises(Wrong):
        room.feed(room.follower(), other)


def test_what_is_missing_is_seen(room: Room) -> None:
    late = room.follower()
    room.feed(room.follower(), event(1) + event(2))
    room.feed(late, event(1) + event(2)[:-1])
    assert late.behind == 1


@given(st.data())
def test_bytes_may_come_in_any_pieces_and_any_turn(data: st.DataObject) -> None:
    room = Room()
    count = data.draw(st.integers(1, 6))
    followers = [room.follower() for _ in range(3)]
    pieces: list[tuple[int, bytes]] = []
    for i, _ in enumerate(followers):
        frames = []
        for pos in range(1, count + 1):
            frames += [reply(pos)] * data.draw(st.integers(0, 2)) + [event(pos)]
        sent = b"".join([*frames, reply(99)])
        cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
        pieces += [(i, sent[start:end]) for start, end in pairwise([0, *cuts, len(sent)])]
    turns = data.draw(st.permutations([i for i, _ in pieces]))
    for i in turns:
        piece = next(piece for piece in pieces if piece[0] == i)
        pieces.remove(piece)
        room.feed(followers[i], piece[1])
    assert room.positions == list(range(1, count + 1))
    assert [follower.behind for follower in followers] == [0, 0, 0]
    assert all(json.loads(payload)["type"] == "ok" for _, payload in room.private)
