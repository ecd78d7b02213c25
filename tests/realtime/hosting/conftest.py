"""Two nodes, for what they do about each other."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime.hosting import following
from rooms import commands as c
from tests.realtime.hosting.two_nodes import OWNER, ROOM, Node
from tests.support.lossy import LossyBus


@pytest.fixture
def bus() -> LossyBus:
    bus = LossyBus(random.Random(1))
    bus.lossy = False
    return bus


@pytest.fixture
async def nodes(tmp_path: Path, bus: LossyBus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Node, Node]]:
    """The first has a public live room, to which the second has somebody listen. Nothing is done by the clock."""
    monkeypatch.setattr(following, "ALIVE_SECONDS", 1_000.0)
    here, there = Node(tmp_path, bus), Node(tmp_path, bus)
    for node in (here, there):
        await node.service.start()
    await here.service.answer(OWNER, c.RoomCreate(kind="live", title="R", visibility="public", room=ROOM))
    await there.listen()
    yield here, there
    for node in (here, there):
        await node.service.close()


@pytest.fixture
async def ticking(nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both do by the clock what is to be done, with ticks of a hundredth of a second."""
    monkeypatch.setattr(following, "ALIVE_SECONDS", 0.01)
    for node in nodes:
        node.service.following.missed()
