"""A stream of made units that is pushed, and what is told of its destinations."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network

from relay.aac import write_specific
from relay.h264 import config_of, join_lengths
from relay.ports import Output
from relay.push.destination import PushSettings
from relay.push.lookups import Lookups
from relay.push.pushes import Pushes
from relay.push.status import PushStatus
from relay.units import AudioConfig, Unit

SPS = bytes.fromhex("6764001eacd940a02ff970110000030001000003003c0f162d96")
VIDEO = config_of([SPS], [bytes.fromhex("68ebe3cb22c0")])
AUDIO = AudioConfig("aac", 48_000, 2, write_specific(48_000, 2))
LOCAL = (ip_network("127.0.0.0/8"),)
GROUP = 30
"""Frames between keyframes."""


def video(number: int, size: int = 1_000) -> Unit:
    """The frame of a number, at 30 a second."""
    key = number % GROUP == 0
    data = join_lengths([(b"\x65" if key else b"\x41") + number.to_bytes(4) + b"\x55" * size])
    return Unit("video", number * 3_000, number * 3_000, data, key, VIDEO)


def audio(number: int) -> Unit:
    return Unit("audio", number * 1_920, number * 1_920, b"\x21" + number.to_bytes(4), True, AUDIO)


class Source:
    """Gives units to its outputs, thirty frames a second and the audio beside them."""

    def __init__(self, size: int = 1_000) -> None:
        self.outputs: list[Output] = []
        self.statuses: list[PushStatus] = []
        self.number = 0
        self.size = size

    def add(self, output: Output) -> None:
        self.outputs.append(output)

    def remove(self, output: Output) -> None:
        self.outputs.remove(output)

    def told(self, id: str) -> list[PushStatus]:
        return [status for status in self.statuses if status.id == id]

    def state(self, id: str) -> str:
        return self.told(id)[-1].state

    def step(self) -> None:
        units = [
            audio(number) for number in range(-(-self.number * 3_000 // 1_920), -(-(self.number + 1) * 3_000 // 1_920))
        ]
        for output in tuple(self.outputs):
            for unit in (video(self.number, self.size), *units):
                output.unit(unit)
        self.number += 1

    async def run(self) -> None:
        while True:
            self.step()
            await asyncio.sleep(1 / 30)


@asynccontextmanager
async def pushing(size: int = 1_000, settings: PushSettings | None = None) -> AsyncIterator[tuple[Source, Pushes]]:
    source = Source(size)
    chosen = settings or PushSettings(networks=LOCAL, report_seconds=0.2)
    pushes = Pushes(source, chosen, partial(Lookups().look_up, "ann"), source.statuses.append)
    running = asyncio.create_task(source.run())
    try:
        yield source, pushes
    finally:
        running.cancel()
        await pushes.close()


def frames(flv: bytes) -> list[int]:
    """The numbers of an FLV file's pictures; the last tag may be written in part."""
    found, at = [], 13
    while at + 11 < len(flv):
        kind, size = flv[at] & 31, int.from_bytes(flv[at + 1 : at + 4])
        body = flv[at + 11 : at + 11 + size]
        if kind == 9 and body[1] == 1 and len(body) >= 14:
            found.append(int.from_bytes(body[10:14]))
        at += 15 + size
    return found


def in_row(found: Sequence[int]) -> bool:
    return list(found) == list(range(found[0], found[0] + len(found)))
