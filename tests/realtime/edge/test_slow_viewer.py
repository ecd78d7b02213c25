"""A viewer for whom too much waits."""

import json
from typing import Any, cast

from realtime.edge.audience import Counters
from realtime.edge.live import Live
from realtime.edge.viewers import UNSENT, Viewer
from relay.feed_values import Began, Interrupted
from relay.parts_values import Init, Part
from relay.ports import Bearer


class Connection:
    """One that has `unsent` bytes waiting."""

    socket = None

    def __init__(self) -> None:
        self.unsent = 0
        self.written = b""

    @property
    def clear(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data


def part(msn: int, index: int, *, independent: bool) -> Part:
    return Part(msn, index, (msn * 7 + index) * 30_000, 30_000, independent, 1, False, 0, False, b"moof%d" % index)


def texts(written: bytes) -> list[str]:
    """What was said, by type. Frames of a server's, none longer than 65,535 bytes."""
    found = []
    while written:
        opcode, size, at = written[0] & 15, written[1], 2
        if size == 126:
            size, at = int.from_bytes(written[2:4]), 4
        if opcode == 1:
            found.append(json.loads(written[at : at + size])["type"])
        written = written[at + size :]
    return found


async def test_who_is_skipping_is_told_of_interruptions_all_the_same() -> None:
    live = Live(Began("r1", "s1", "ann", 0, b"k" * 32, False, "s1"), 0, Counters())
    connection = Connection()
    viewer = Viewer(cast(Any, connection), cast(Any, None), "r1", Bearer("bob"))
    live.tell(Init(1, b"ftyp", b"", "avc1.64001f", 320, 180))
    live.tell(part(0, 0, independent=True))
    viewer.join(live)
    connection.unsent = UNSENT * 100
    live.tell(part(0, 1, independent=False))
    assert not viewer.clear
    live.tell(Interrupted())
    live.tell(part(0, 2, independent=False))
    live.tell(part(0, 3, independent=False))
    assert texts(connection.written) == ["init", "interrupted", "resumed"]
    assert live.audience.counters.skipped == 3
    connection.unsent = 0
    live.tell(part(1, 0, independent=True))
    assert texts(connection.written)[3:] == ["skipped"]
    assert connection.written.endswith(b"moof0")
