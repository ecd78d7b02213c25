"""Events of other nodes, as they come: in any order, more than once, with holes."""

import pytest

from realtime.hosting import heard as heard_module
from realtime.hosting.heard import Heard
from rooms.actors import By
from rooms.events import Logged, MemberJoined


def event(pos: int) -> Logged:
    return MemberJoined(room="r", pos=pos, at=0, by=By("a", "A", "member"), user="a", name="A")


def taken(heard: Heard, after: int) -> list[int]:
    return [event.pos for event in heard.take(after)]


def test_in_order_whatever_the_order_in_which_they_came() -> None:
    heard = Heard()
    heard.add([event(4), event(3)])
    heard.add([event(3), event(6)])
    assert heard.pos == 6
    assert taken(heard, 1) == []
    assert taken(heard, 2) == [3, 4]
    assert taken(heard, 4) == []
    assert taken(heard, 5) == [6]


def test_what_lies_before_is_forgotten() -> None:
    heard = Heard()
    heard.add([event(1), event(2), event(5)])
    assert taken(heard, 2) == []
    assert taken(heard, 0) == []
    assert taken(heard, 4) == [5]


def test_no_more_are_kept_than_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_module, "HEARD", 2)
    heard = Heard()
    heard.add([event(2), event(3), event(4)])
    assert heard.pos == 4
    assert taken(heard, 1) == [2, 3]


def test_a_log_is_known_to_go_as_far_as_was_read_or_heard() -> None:
    heard = Heard()
    heard.pos = 9
    heard.settle(5)
    assert heard.pos == 5
    heard.add([event(5), event(7)])
    heard.settle(6)
    assert heard.pos == 7
    assert taken(heard, 6) == [7]
