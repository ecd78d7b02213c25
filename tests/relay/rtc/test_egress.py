"""Much to send is sent in slices, between which the event loop has its turn."""

import asyncio
from itertools import pairwise

import pytest

from relay import h264
from relay.ports import Bearer
from relay.rtc.egress import Egress
from relay.rtc.packetise import Frame
from relay.rtc.viewer import Viewer
from relay.units import Unit
from tests.relay.rtc.test_packetise import CONFIG


class Joined(Viewer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(Bearer("bob"), {}, lambda _: None, lambda: None, lambda _: None)
        self.started = False
        self.times: list[int] = []

    def send(self, frame: Frame, pts: int) -> None:
        self.times.append(frame.pts)


def picture(index: int) -> Unit:
    data = h264.join_lengths([b"\x65slice" if not index else b"\x41slice"])
    return Unit("video", index, index, data, not index, CONFIG)


async def test_viewers_who_join_at_once_do_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.rtc.egress.SLICE_SECONDS", -1.0)
    egress = Egress(lambda: None)
    for index in range(5):
        egress.unit(picture(index))
    viewers = [Joined() for _ in range(3)]
    egress.viewers += viewers
    egress.unit(picture(5))
    begun = []
    for _ in range(6):
        begun.append([viewer.started for viewer in viewers].count(True))
        await asyncio.sleep(0)
    assert begun[0] < begun[-1] == 3
    assert all(b - a <= 1 for a, b in pairwise(begun))
    egress.unit(picture(6))
    for _ in range(6):
        await asyncio.sleep(0)
    assert [viewer.times for viewer in viewers] == [list(range(7))] * 3
