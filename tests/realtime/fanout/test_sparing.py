"""What is spared, for whom, and that skips account for all of it."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realtime.fanout.channel import Channel
from realtime.fanout.sparing import Sparing, restored, without
from rooms import events as e
from rooms.actors import By


class Lines:
    def event(self, event: object, epoch: str) -> bytes:
        raise AssertionError("nothing is written here")


LINES = Lines()
TYPING = {"type": "typing", "room": "r", "user": "u"}


def said(pos: int, sender: str = "bob", role: str = "none") -> e.MessageCreated:
    body = e.Body(text="hello", n=pos, mentions=())
    return e.MessageCreated(room="r", pos=pos, at=1, by=By(sender, sender, role), message=body)


def joined(pos: int, user: str = "bob") -> e.MemberJoined:
    return e.MemberJoined(room="r", pos=pos, at=1, by=By(user, user, "member"), user=user, name=user)


def live() -> Channel:
    return Channel("r", "epoch", live=True)


def crowd(count: int) -> Channel:
    channel = Channel("r", "epoch", live=False)
    channel.users |= {f"u{i}": () for i in range(count)}
    return channel


def spans(events: list[Any]) -> list[int]:
    """All positions that the events account for."""
    found: list[int] = []
    for event in events:
        if isinstance(event, e.Skip):
            found.extend(range(event.first, event.last + 1))
        elif isinstance(event, e.Event):
            found.append(event.pos)
    return found


logs = st.tuples(st.integers(1, 50), st.lists(st.sampled_from(["shown", "spared", "own", "typing"]), max_size=30))


def made(log: tuple[int, list[str]]) -> tuple[list[Any], set[int], list[e.Event]]:
    """Events, those of them that are spared, and of these one sender's own."""
    pos, kinds = log
    events: list[Any] = []
    spared: set[int] = set()
    own: list[e.Event] = []
    for kind in kinds:
        if kind == "typing":
            events.append(TYPING)
            continue
        event = said(pos)
        events.append(event)
        if kind != "shown":
            spared.add(pos)
        if kind == "own":
            own.append(event)
        pos += 1
    return events, spared, own


@given(logs)
def test_every_position_is_accounted_for_once_and_in_order(log: tuple[int, list[str]]) -> None:
    events, spared, _ = made(log)
    left = without(events, spared)
    assert spans(left) == spans(events)
    assert [event for event in left if not isinstance(event, e.Skip)] == [
        event for event in events if not (isinstance(event, e.Event) and event.pos in spared)
    ]
    assert left.count(TYPING) == events.count(TYPING)
    skips = [event for event in left if isinstance(event, e.Skip)]
    assert all(one.last + 1 < other.first for one, other in pairwise(skips))


@given(logs, st.integers(0, 10))
def test_whose_they_are_get_them_in_their_places(log: tuple[int, list[str]], late: int) -> None:
    events, spared, own = made(log)
    heard = events[late:]
    others = spared - {event.pos for event in own}
    assert spans(restored(without(heard, spared), own)) == spans(heard)
    logged = [event for event in restored(without(heard, spared), own) if event is not TYPING]
    assert logged == [event for event in without(heard, others) if event is not TYPING]


def test_a_hole_is_not_covered_by_a_skip() -> None:
    left = without([said(1), said(3)], {1, 3})
    assert left == [e.Skip("r", 1, 1), e.Skip("r", 3, 3)]


def spared(sparing: Sparing, channel: Channel, events: list[Any], now: int = 0) -> set[int]:
    return set(sparing.heard(channel, events, now).spared)


def test_in_live_rooms_comments_past_the_rate_are_spared() -> None:
    sparing, channel = Sparing(2, 200), live()
    assert spared(sparing, channel, [said(1), said(2)]) == set()
    assert spared(sparing, channel, [said(3), said(4)]) == {3, 4}


def test_who_moderates_or_owns_is_always_shown_and_takes_nobodys_place() -> None:
    sparing, channel = Sparing(2, 200), live()
    staff = [said(pos, "mo", role) for pos, role in enumerate(["moderator", "owner"] * 20, 1)]
    assert spared(sparing, channel, staff) == set()
    assert spared(sparing, channel, [said(41), said(42)]) == set()


def test_only_comments_are_spared() -> None:
    body = e.Body(text="better", n=1, mentions=())
    by = By("bob", "Bob", "member")
    others: list[Any] = [
        e.MessageEdited(room="r", pos=2, at=1, by=by, target=1, message=body),
        e.MessageDeleted(room="r", pos=3, at=1, by=by, target=1),
        joined(4),
        TYPING,
    ]
    assert spared(Sparing(1, 200), live(), [said(1), *others, said(5), said(6, "cem")]) == {5, 6}


def test_nothing_is_spared_in_groups_or_where_it_is_switched_off() -> None:
    many: list[Any] = [said(pos) for pos in range(1, 1_000)]
    assert spared(Sparing(1, 200), Channel("r", "epoch", live=False), many) == set()
    assert spared(Sparing(0, 200), live(), many) == set()


def test_who_lags_in_a_live_room_is_spared_all_comments_but_moderators() -> None:
    events = [said(1), said(2, "mo", "moderator"), said(3), said(4), TYPING]
    for sparing in (Sparing(30, 200), Sparing(0, 200)):
        heard = sparing.heard(live(), events, 0)
        assert heard.by((LINES, False, False)) == events
        assert heard.by((LINES, True, True)) == events
        assert heard.by((LINES, False, True)) == [e.Skip("r", 1, 1), events[1], TYPING, e.Skip("r", 3, 4)]
        assert heard.by((LINES, False, True), 2) == [TYPING, e.Skip("r", 3, 4)]


def test_above_so_many_people_nobody_is_told_who_comes_and_goes() -> None:
    left = e.MemberLeft(room="r", pos=2, at=1, by=By("eve", "Eve", "member"), user="eve", name="Eve")
    events = [joined(1), left, said(3)]
    assert spared(Sparing(0, 2), crowd(2), events) == set()
    assert spared(Sparing(0, 2), crowd(3), events) == {1, 2}


def test_what_was_spared_is_announced_with_its_counts() -> None:
    sparing, channel = Sparing(2, 200), live()
    spared(sparing, channel, [said(1)])
    assert list(sparing.announcements()) == []
    kept = 10 - len(spared(sparing, channel, [said(pos) for pos in range(2, 12)], 1_000))
    assert list(sparing.announcements()) == [
        ("r", {"type": "comments.sampled", "room": "r", "shown": kept, "total": 10})
    ]
    assert list(sparing.announcements()) == []
