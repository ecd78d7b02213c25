"""What nodes of different versions tell each other: `Committed` has had no `traces` before."""

from msgspec import Struct, msgpack

from realtime.ports.carried import Carried, Committed
from rooms.actors import By
from rooms.events import Logged, RoomClosed

EVENTS: tuple[Logged, ...] = (RoomClosed(room="r", pos=8, at=1, by=By("ann", "Ann", "owner")),)
TRACES = ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",)


class Before(Struct, frozen=True, array_like=True, tag_field="t", tag="c"):
    epoch: str
    events: tuple[Logged, ...]


def test_a_node_of_before_passes_over_the_traces() -> None:
    read = msgpack.decode(msgpack.encode(Committed("e", EVENTS, TRACES)), type=Before)
    assert read == Before("e", EVENTS)


def test_what_a_node_of_before_has_written_has_none() -> None:
    assert msgpack.decode(msgpack.encode(Before("e", EVENTS)), type=Carried) == Committed("e", EVENTS)


def test_they_are_carried() -> None:
    told = Committed("e", EVENTS, TRACES)
    assert msgpack.decode(msgpack.encode(told), type=Carried) == told
