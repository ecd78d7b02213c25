"""What a node gathers before it tells the others."""

import pytest

from realtime.brokers.memory import MemoryBroker
from realtime.hosting import across
from realtime.hosting.across import Across
from realtime.ports import user_topic
from realtime.ports.carried import Carried, Marked


class Noting(MemoryBroker):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, Carried]] = []

    def publish(self, topic: str, message: Carried) -> None:
        self.said.append((topic, message))


@pytest.fixture
def broker() -> Noting:
    return Noting()


def test_read_marks_are_told_once_a_tick_for_each_user_and_room(broker: Noting) -> None:
    here = Across(broker)
    for _ in range(3):
        here.marked("ann", "r")
    here.marked("ann", "s")
    here.marked("bob", "r")
    assert broker.said == []
    here.tell_marks()
    assert broker.said == [
        (user_topic("ann"), Marked("ann", "r")),
        (user_topic("ann"), Marked("ann", "s")),
        (user_topic("bob"), Marked("bob", "r")),
    ]
    here.tell_marks()
    assert len(broker.said) == 3


def test_more_marks_than_may_wait_are_told_at_once(broker: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MARKS", 2)
    here = Across(broker)
    here.marked("ann", "r")
    here.marked("bob", "r")
    assert len(broker.said) == 2
