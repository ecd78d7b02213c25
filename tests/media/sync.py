"""Flash and beep stay together on every output: `python -m tests.media.sync --minutes 30`.

Into one server ffmpeg publishes a film of 1080p30 with B-frames at 6 Mbit/s and AAC by RTMP, as it is; and aiortc by
WHIP, whose picture changes its size and whose microphone is muted for a while. They are watched by fMP4 and by HLS,
pushed to nginx-rtmp, and recorded. Every flash and beep of each output is looked at, and times of all packets are to go
forwards. The long form writes a dated result to `docs/proof/`.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.relay.push.nginx import NginxRtmp, nginx_rtmp
from tests.relay.rtc.support import until
from tests.support.flashes import Beeps, Flashes, film
from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.looks import Look, by_fmp4, by_hls, edge
from tests.support.onsets import Onsets, onsets
from tests.support.reports import head, publish
from tests.support.webrtc import publishing

APART = 0.040
BEGINNING_SECONDS = 15.0
"""That an output may have less than was published: until it is shown, at both ends of each stretch, at its end."""
FILM_SECONDS = 64
"""3,000 frames of AAC: it can be played again and again without a gap."""
LONG_SECONDS, MUTED_SECONDS = 600, 60


@dataclass
class Found:
    """Of one output: what was seen, by init segment, and read of it in all. `seconds` that it ought to have, at least,
    and how many of them without a beep, at most.
    """

    name: str
    seen: list[Onsets]
    read: str
    seconds: float
    muted: int = 0

    @property
    def flashes(self) -> int:
        return sum(len(one.flashes) for one in self.seen)

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.seen)

    @property
    def apart(self) -> list[float]:
        return [later for one in self.seen for later in one.apart() if later is not None]

    @property
    def silent(self) -> int:
        return sum(later is None for one in self.seen for later in one.apart())

    @property
    def holds(self) -> bool:
        whole = self.flashes >= self.seconds and not self.lost and self.silent <= self.muted
        return whole and max(map(abs, self.apart), default=APART + 1) <= APART

    def row(self) -> str:
        apart = self.apart or [float("nan")]
        first, last = (1_000 * sum(part) / len(part) for part in (apart[:60], apart[-60:]))
        packets = sum(one.packets for one in self.seen)
        return (
            f"| {self.name} | {self.flashes:,} | {self.lost} | {self.silent} | {1_000 * max(map(abs, apart)):.0f} ms "
            f"| {first:+.0f} ms | {last:+.0f} ms | {packets:,} packets{self.read} |"
        )


def say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", flush=True)


class Room:
    """One publisher's, with two viewers and a destination."""

    def __init__(self, name: str, ana: Creator, tasks: asyncio.TaskGroup, *, keyframes: bool):
        self.name, self.ana = name, ana
        self.found: list[Found] = []
        self.begun = time.monotonic()
        self.muted = 0
        self._look = partial(Look, keyframes=keyframes)
        self._onsets = partial(onsets, keyframes=keyframes)
        self.fmp4, self._hls = self._look(), self._look()
        self._viewers = [
            tasks.create_task(by_fmp4(ana, self.fmp4)),
            tasks.create_task(by_hls(ana, f"/v1/rooms/{ana.room}/hls/index.m3u8", self._hls)),
        ]

    async def reach(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, self.begun + seconds - time.monotonic()))

    def _add(self, output: str, seen: list[Onsets], read: str = "") -> None:
        seconds = time.monotonic() - self.begun if not self.found else self.found[0].seconds + BEGINNING_SECONDS
        self.found.append(Found(f"{self.name}, {output}", seen, read, seconds - BEGINNING_SECONDS, self.muted))
        say(self.found[-1].row())

    async def finish(self, destination: NginxRtmp) -> None:
        """Ends the stream, and looks at what is left of it."""
        await self.ana.command(type="live.stop", room=self.ana.room)
        say(f"{self.name}: stopped")
        for output, look, viewer in zip(("fMP4", "HLS"), (self.fmp4, self._hls), self._viewers, strict=True):
            read = await viewer
            self._add(output, await look.found(), f", {read}, {look.inits} init segments")
        (recording,) = await self.ana.recordings()
        whole = self._look()
        read = await by_hls(self.ana, recording["hls"], whole)
        self._add("recording as HLS", await whole.found(), f", {read}")
        mp4 = await edge(self.ana, recording["mp4"])
        parts = range(1, whole.inits + 1)
        files = [await asyncio.to_thread(self._onsets, f"{mp4}&part={number}") for number in parts]
        self._add("recording as MP4", files, f", {len(parts)} files")
        await destination.stop(signal.SIGTERM)
        (pushed,) = destination.recordings()
        self._add("pushed to nginx-rtmp", [await asyncio.to_thread(self._onsets, str(pushed))])


@asynccontextmanager
async def pushing(server: LiveServer, user: str) -> AsyncIterator[tuple[Creator, NginxRtmp]]:
    """Whose streams go to an nginx as well."""
    async with nginx_rtmp() as destination, creator(server, user) as ana:
        url = f"rtmp://127.0.0.1:{destination.port}/live"
        await ana.command(type="live.destination.add", name="elsewhere", url=url, stream_key="one")
        yield ana, destination


async def by_rtmp(server: LiveServer, folder: Path, seconds: float, size: str, kbit: int) -> list[Found]:
    source = folder / "film.flv"
    await asyncio.to_thread(film, source, FILM_SECONDS if seconds > FILM_SECONDS else int(seconds) + 20, size, kbit)
    async with pushing(server, "ana") as (ana, destination):
        send = ["ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy", "-f", "flv"]
        encoder = await asyncio.create_subprocess_exec(*send, await ana.address(), stdin=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.TaskGroup() as tasks:
                await ana.until("live.started")
                room = Room("RTMP", ana, tasks, keyframes=True)
                await room.reach(seconds)
                await room.finish(destination)
        finally:
            if encoder.returncode is None:
                encoder.kill()
            await encoder.wait()
    return room.found


async def by_whip(server: LiveServer, seconds: float) -> list[Found]:
    """Muted for a minute after a quarter of the time, and larger after the half. A short form is not muted."""
    flashes = Flashes()
    beeps = Beeps(flashes)
    async with (
        pushing(server, "ben") as (ben, destination),
        publishing(ben, flashes, beeps),
        asyncio.TaskGroup() as tasks,
    ):
        await ben.until("live.started")
        room = Room("WHIP", ben, tasks, keyframes=False)
        if seconds >= LONG_SECONDS:
            await room.reach(0.25 * seconds)
            beeps.muted, room.muted = True, MUTED_SECONDS + 1
            await asyncio.sleep(MUTED_SECONDS)
            beeps.muted = False
        await room.reach(0.5 * seconds)
        flashes.width, flashes.height = 640, 480
        await until(lambda: room.fmp4.inits == 2, PATIENCE)
        await room.reach(seconds)
        await room.finish(destination)
    return room.found


async def run(seconds: float, size: str, kbit: int) -> list[Found]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with LiveServer(folder / "data", {"GALAXY_RELAY__PUSH_NETWORKS": "127.0.0.0/8"}) as server:
            async with asyncio.TaskGroup() as tasks:
                one = tasks.create_task(by_rtmp(server, folder, seconds, size, kbit))
                other = tasks.create_task(by_whip(server, seconds))
    return [*one.result(), *other.result()]


def report(found: list[Found], minutes: float, load: float) -> list[str]:
    return [
        *head("Sound and picture", f"python -m tests.media.sync --minutes {minutes:g}"),
        f"Load of the two cores {load:.1f}. Flash and beep once a second, and every one of them looked at. By RTMP:",
        "ffmpeg, 1080p30 with B-frames at 6 Mbit/s and AAC, as it is. By WHIP: aiortc, whose microphone is muted for a",
        "minute and whose picture grows in the middle. The first and the last minute are means.",
        "",
        *table(found),
    ]


def table(found: list[Found]) -> list[str]:
    return [
        "| output | flashes | lost | without beep | farthest apart | first minute | last minute | in all |",
        "|---|---|---|---|---|---|---|---|",
        *(one.row() for one in found),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    found = asyncio.run(run(args.minutes * 60, "1920x1080", 6_000))
    publish(report(found, args.minutes, os.getloadavg()[1]), args.output, "sync")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
