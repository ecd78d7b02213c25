"""What a ring and all rings hold, and how much. That it shows what the store shows is held by the hosting tests."""

from typing import Any

import pytest
from msgspec.structs import replace

from realtime.fanout.ring import RING_BYTES, WHOLES, Ring, TooMuch
from realtime.fanout.rings import RECENT_MS, Rings
from rooms import events as e
from rooms.actors import By, Role, Viewer
from tests.support.forms import JSON_LINES

GUEST, STAFF = Viewer("guest", Role.NONE), Viewer("mod", Role.MODERATOR)
ANN = By("ann", "Ann", "member")
PLENTY = 1_000_000


def said(pos: int, text: str = "hello", quotes: int | None = None) -> e.MessageCreated:
    quote = e.Quote(quotes, ANN, "hello") if quotes is not None else None
    body = e.Body(text=text, n=pos, reply_to=quote, mentions=())
    return e.MessageCreated(room="r", pos=pos, at=1, by=ANN, message=body)


def edited(pos: int, target: int, text: str) -> e.MessageEdited:
    body = e.Body(text=text, n=target, mentions=())
    return e.MessageEdited(room="r", pos=pos, at=1, by=ANN, target=target, message=body)


def deleted(pos: int, target: int) -> e.MessageDeleted:
    return e.MessageDeleted(room="r", pos=pos, at=1, by=ANN, target=target)


def muted(pos: int, user: str) -> e.MemberMuted:
    return e.MemberMuted(room="r", pos=pos, at=1, by=ANN, user=user, name=user.title(), reason="why")


def ring_of(*events: e.Logged, pos: int = 0) -> Ring:
    ring = Ring("r", "e", pos)
    for event in events:
        ring.append(event)
    return ring


def seen(ring: Ring, after: int = 0, viewer: Viewer = GUEST, limit: int = PLENTY) -> Any:
    return ring.past(after, viewer, JSON_LINES, limit)


def test_who_asks_for_the_same_gets_the_same_object() -> None:
    ring = ring_of(said(1), said(2))
    first = seen(ring)
    assert seen(ring, viewer=Viewer("another", Role.MEMBER)) is first
    assert seen(ring, after=1) is not first
    ring.append(said(3))
    assert [event["pos"] for event in seen(ring)] == [1, 2, 3]


def test_whom_an_event_concerns_sees_it_as_nobody_else() -> None:
    ring = ring_of(said(1), muted(2, "bob"), said(3))
    assert "reason" not in seen(ring)[1]
    assert seen(ring, viewer=Viewer("bob", Role.NONE))[1]["reason"] == "why"
    assert seen(ring, viewer=STAFF)[1]["reason"] == "why"
    assert "reason" not in seen(ring)[1]


def test_who_may_not_read_the_beginning_gets_skips() -> None:
    ring = ring_of(said(1), said(2), edited(3, 1, "new"), said(4, quotes=1))
    events = seen(ring, viewer=Viewer("late", Role.MEMBER, 3))
    assert [(event["type"], event.get("from"), event.get("to")) for event in events[:-1]] == [("room.skip", 1, 3)]
    assert events[-1]["message"]["reply_to"] == {"pos": 1}
    assert seen(ring, after=2, viewer=Viewer("later", Role.MEMBER, 9)) == [
        {"type": "room.skip", "room": "r", "from": 3, "to": 4}
    ]


def test_what_a_viewer_may_not_see_need_not_be_there() -> None:
    ring = ring_of(said(6), said(7), pos=5)
    late = Viewer("late", Role.MEMBER, 7)
    assert not ring.covers(2, GUEST)
    assert ring.covers(2, late)
    assert [event["type"] for event in seen(ring, 2, late)] == ["room.skip", "message.created"]


def test_no_text_outlives_its_edit_or_deletion() -> None:
    ring = ring_of(said(1, "secret"), said(2, quotes=1), edited(3, 1, "a second secret"))
    seen(ring), seen(ring, viewer=STAFF)
    ring.append(deleted(4, 1))
    assert "secret" not in repr(ring.events) + repr(ring._parts) + repr(ring._wholes)
    assert [event.get("deleted", False) for event in seen(ring)] == [True, False, True, False]
    assert seen(ring)[1]["message"]["reply_to"] == {"pos": 1, "deleted": True}


def test_what_is_read_meanwhile_is_put_right() -> None:
    """The store was asked before an edit, a deletion and a new name, and answers after them."""
    ring = ring_of(pos=3)
    ring.noted = []
    ring.append(edited(4, 1, "new"))
    ring.append(deleted(5, 2))
    ring.rewrite(By("ann", "Anna", "", None))
    assert ring.extend([said(1), said(2), said(3, quotes=2)], 100, PLENTY)
    events = seen(ring)
    assert events[0]["message"]["text"] == "new"
    assert events[1]["deleted"]
    assert events[2]["message"]["reply_to"] == {"pos": 2, "deleted": True}
    assert {event["by"]["name"] for event in events} == {"Anna"}


def test_a_hole_begins_it_anew() -> None:
    ring = ring_of(said(1), said(2), said(4))
    assert (ring.after, ring.last, len(ring)) == (3, 4, 1)


def test_a_stretch_that_is_too_long_is_refused() -> None:
    ring = ring_of(*(said(pos, "x" * 100) for pos in range(1, 11)))
    whole = len(b"".join(JSON_LINES.part(event, "") for event in ring.events.values()))
    assert len(seen(ring, limit=whole)) == 10
    for _ in range(2):
        with pytest.raises(TooMuch):
            seen(ring, limit=whole - 1, after=0, viewer=STAFF)
    assert len(seen(ring, limit=whole - 1, after=1)) == 9


def test_size_counts_what_is_held() -> None:
    ring = ring_of(*(said(pos, quotes=pos - 1 or None) for pos in range(1, 30)), muted(30, "bob"))
    begun = ring.size
    for after in range(WHOLES + 5):
        seen(ring, after), seen(ring, after, STAFF)
    assert ring.size > begun
    ring.trim(3, PLENTY)
    assert len(ring) == 3
    ring.trim(0, 0)
    assert ring.size == RING_BYTES


def test_a_ring_that_is_full_reaches_no_further_back() -> None:
    ring = ring_of(said(4), pos=3)
    assert not ring.extend([said(1), said(2), said(3)], 3, PLENTY)
    assert (ring.after, len(ring)) == (1, 3)


# All rings


def say(rings: Rings, room: str, pos: int, text: str = "hello") -> None:
    rings.committed(room, "e", [said(pos, text)], listened=True)


def test_a_room_that_nobody_hears_has_no_ring() -> None:
    rings = Rings(10, PLENTY, PLENTY)
    rings.committed("r", "e", [said(1)], listened=False)
    assert len(rings) == 0
    rings.committed("r", "e", [said(2)], listened=True)
    rings.committed("r", "e", [said(3)], listened=False)
    ring = rings.at("r", "e", 3)
    assert (ring.after, ring.last) == (1, 3)


def test_the_least_recently_used_goes_first() -> None:
    rings = Rings(10, PLENTY, 3 * RING_BYTES + 4_000)
    for room in "abc":
        say(rings, room, 1)
    assert rings.at("a", "e", 1).last == 1
    say(rings, "d", 1, "x" * 1_000)
    assert [rings.get(room) is not None for room in "abcd"] == [True, False, True, True]
    assert rings.counters.dropped == 1
    for room in "acd":
        rings.drop(room)
    assert rings.bytes == 0


def test_what_is_waited_for_stays() -> None:
    rings = Rings(10, PLENTY, 2 * RING_BYTES)
    rings.at("a", "e", 0).waiting += 1
    for pos in range(1, 6):
        say(rings, "b", pos)
    assert rings.get("a") is not None
    assert rings.get("b") is None


def test_a_ring_that_has_not_followed_begins_anew() -> None:
    rings = Rings(10, PLENTY, PLENTY)
    say(rings, "r", 1)
    ring = rings.at("r", "e", 1)
    assert rings.at("r", "e", 1) is ring
    assert rings.at("r", "e", 5).after == 5
    assert rings.at("r", "other epoch", 5) is not ring


def test_names_are_those_of_today() -> None:
    rings = Rings(10, PLENTY, PLENTY)
    say(rings, "r", 1)
    rings.renamed("ann", "Anna", "a.png")
    rings.committed("r", "e", [said(2, quotes=1)], listened=True)
    events = rings.at("r", "e", 2).past(0, GUEST, JSON_LINES, PLENTY)
    assert [(event["by"]["name"], event["by"]["avatar"]) for event in events] == [("Anna", "a.png")] * 2
    assert events[1]["message"]["reply_to"]["by"]["name"] == "Anna"


def test_what_was_said_long_ago_makes_room_for_what_is_new() -> None:
    rings = Rings(10, PLENTY, PLENTY)
    for pos, at in ((1, 0), (2, RECENT_MS), (3, RECENT_MS + 1)):
        rings.committed("r", "e", [replace(said(pos), room="r", at=at)], listened=True)
    ring = rings.get("r")
    assert ring is not None
    assert (ring.after, ring.last) == (1, 3)
    assert rings.bytes == ring.size
