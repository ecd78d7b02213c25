"""Flash and beep stay together on every output: `python -m tests.media.sync --minutes 30`.

Into one server ffmpeg publishes a film of 1080p30 with B-frames at 6 Mbit/s and AAC by RTMP, as it is; and aiortc by
WHIP, whose picture changes its size and whose microphone is muted for a while. They are watched by fMP4 and by HLS,
pushed to nginx-rtmp, and recorded. Looked at are stretches of a quarter of a minute; times of all packets are to go
forwards. The long form writes a dated result to `docs/proof/`.
"""

import argparse
import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

import httpx
import m3u8
from websockets.exceptions import ConnectionClosed

from tests.e2e.test_live import recordings
from tests.relay.push.nginx import nginx_rtmp
from tests.relay.rtc.support import until
from tests.support.flashes import Beeps, Flashes, apart, film
from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.webrtc import publishing

APART = 0.040
STRETCH = 12.0
"""Seconds of an output that are looked at."""
LEAST = 8
"""Flashes of an output, or it shows nothing."""
FILM_SECONDS = 64
"""3,000 frames of AAC: it can be played again and again without a gap."""
LONG_SECONDS, MUTED_SECONDS = 600, 60
LENGTH = ("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0")


@dataclass
class Found:
    """Of one output: by stretch, how far beeps are from flashes, in seconds; and what was read of it in all."""

    name: str
    stretches: list[list[float]] = field(default_factory=list)
    read: str = ""

    @property
    def holds(self) -> bool:
        everything = [one for stretch in self.stretches for one in stretch]
        return len(everything) >= LEAST and max(map(abs, everything)) <= APART

    def row(self) -> str:
        everything = [one for stretch in self.stretches for one in stretch]
        if not everything:
            return f"| {self.name} | 0 | | | | {self.read} |"
        first, last = (sum(part) / max(1, len(part)) for part in (self.stretches[0], self.stretches[-1]))
        most = max(map(abs, everything))
        return (
            f"| {self.name} | {len(self.stretches)}, {len(everything)} | {most * 1_000:.0f} ms "
            f"| {first * 1_000:+.0f} ms | {last * 1_000:+.0f} ms | {self.read} |"
        )


class Watched:
    """A viewer by fMP4 who looks at the time of every part, and keeps stretches."""

    def __init__(self, ana: Creator, folder: Path):
        self._ana, self._folder = ana, folder
        self.kept: list[Path] = []
        self.parts = self.inits = 0
        self._keeping: Path | None = None
        self._init = b""
        self._times: dict[int, int] = {}
        self._task = asyncio.create_task(self._run())

    def keep(self) -> None:
        """From now on, until `rest`."""
        self._keeping = self._folder / f"fmp4-{len(self.kept)}.mp4"
        self._keeping.write_bytes(self._init)
        self.kept.append(self._keeping)

    def rest(self) -> None:
        self._keeping = None

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error

    async def _run(self) -> None:
        viewer = await self._ana.shown()
        await viewer.close()
        viewer = await self._ana.watch()
        init = False
        try:
            async for message in viewer:
                if isinstance(message, str):
                    init = json.loads(message)["type"] == "init"
                elif init:
                    self._init, init, self._times = message, False, {}
                    self.inits += 1
                else:
                    self._part(message)
        except ConnectionClosed:
            return

    def _part(self, data: bytes) -> None:
        self.parts += 1
        for track, at in decode_times(data):
            assert at > self._times.get(track, -1), "an fMP4 part goes back"
            self._times[track] = at
        if self._keeping is not None:
            with self._keeping.open("ab") as file:
                file.write(data)


def decode_times(part: bytes) -> Iterator[tuple[int, int]]:
    """(track, baseMediaDecodeTime) of each fragment (ISO/IEC 14496-12, 8.8.12)."""
    at = 0
    while (at := part.find(b"tfhd", at)) >= 0:
        (track,) = struct.unpack_from("!I", part, at + 8)
        at = part.find(b"tfdt", at)
        yield track, struct.unpack_from("!Q", part, at + 8)[0]


async def program(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out


async def forwards(source: str) -> str:
    """What ffprobe reads: packets of each track, whose decode times go forwards."""
    told = ["-show_entries", "packet=stream_index,dts_time", "-of", "csv=p=0"]
    out = await program("ffprobe", "-v", "error", *told, source)
    times: dict[str, list[float]] = {}
    for line in out.decode().split():
        index, at = line.split(",")[:2]
        if at != "N/A":
            times.setdefault(index, []).append(float(at))
    for track in times.values():
        assert all(b > a for a, b in pairwise(track)), f"{source} goes back"
    return f"{sum(map(len, times.values())):,} packets"


async def looked_at(source: str, start: float = 0.0) -> list[float]:
    return await asyncio.to_thread(apart, source, start, STRETCH)


async def edge(ana: Creator, path: str) -> str:
    """The address there, with a pass."""
    return (await ana.client.get(path)).headers["location"]


async def playlists(address: str) -> m3u8.M3U8:
    """The media playlist, as the m3u8 package reads it."""
    async with httpx.AsyncClient() as client:
        index = m3u8.loads((await client.get(address)).text, address)
        if not index.is_variant:
            return index
        media = urljoin(address, index.playlists[0].uri)
        return m3u8.loads((await client.get(media)).text, media)


class Room:
    """One publisher's, whose live outputs are looked at now and then."""

    def __init__(self, name: str, ana: Creator, folder: Path):
        self.name, self.ana, self.folder = name, ana, folder
        self.watched = Watched(ana, folder)
        self.fmp4, self.hls = Found(f"{name}, fMP4"), Found(f"{name}, HLS")
        self.found = [self.fmp4, self.hls]

    async def look(self, quiet: bool = False) -> None:
        """Keeps a stretch of both. `quiet`: there are no beeps."""
        await until(lambda: self.watched.parts, PATIENCE)
        self.watched.keep()
        address = await edge(self.ana, f"/v1/rooms/{self.ana.room}/hls/index.m3u8")
        async with asyncio.timeout(PATIENCE):
            while sum(bool(one.uri) for one in (await playlists(address)).segments) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        taken = self.folder / f"hls-{len(self.hls.stretches)}.mp4"
        limits = ["-t", f"{STRETCH:g}", "-c", "copy", "-y"]
        await program("ffmpeg", "-v", "error", "-i", address, *limits, str(taken))
        self.watched.rest()
        if not quiet:
            self.fmp4.stretches.append(await looked_at(str(self.watched.kept[-1])))
            self.hls.stretches.append(await looked_at(str(taken)))
        await forwards(str(taken))
        print(f"{datetime.now(UTC):%H:%M:%S} {self.name}: a stretch of {len(self.hls.stretches)} looked at", flush=True)

    async def recorded(self, skip: tuple[float, float] = (0.0, 0.0)) -> None:
        """Ends the stream, and looks at its recording. `skip`: where no beeps are."""
        print(f"{datetime.now(UTC):%H:%M:%S} {self.name}: stopped", flush=True)
        await self.watched.close()
        self.fmp4.read = f"{self.watched.parts:,} parts, {self.watched.inits} init segments"
        await self.ana.command(type="live.stop", room=self.ana.room)
        (recording,) = await recordings(self.ana)
        length = recording["length_ms"] / 1_000
        hls, mp4 = [await edge(self.ana, recording[kind]) for kind in ("hls", "mp4")]
        media = await playlists(hls)
        assert abs(sum(one.duration or 0 for one in media.segments) - length) < 1
        whole = Found(f"{self.name}, recording as HLS", read=f"{len(media.segments)} segments")
        whole.read += f", {sum(bool(one.discontinuity) for one in media.segments)} discontinuities"
        files = Found(f"{self.name}, recording as MP4")
        self.found += [whole, files]
        whole.stretches.append(await looked_at(hls))
        begins = 0.0
        parts = 1 + sum(bool(one.discontinuity) for one in media.segments[1:])
        for number in range(1, parts + 1):
            source = f"{mp4}&part={number}"
            files.read += f"{' and ' * (number > 1)}{await forwards(source)}"
            ends = begins + float(await program(*LENGTH, source))
            for start in (0.0, (ends - begins) / 2, ends - begins - STRETCH - 3):
                if not skip[0] - STRETCH - 3 < begins + start < skip[1] and start >= 0:
                    files.stretches.append(await looked_at(source, start))
            begins = ends


async def by_rtmp(server: LiveServer, folder: Path, seconds: float, looks: int, size: str, kbit: int) -> list[Found]:
    source = folder / "film.flv"
    await asyncio.to_thread(film, source, FILM_SECONDS if seconds > FILM_SECONDS else int(seconds) + 20, size, kbit)
    async with nginx_rtmp() as destination, creator(server) as ana:
        await ana.command(
            type="live.destination.add",
            name="elsewhere",
            url=f"rtmp://127.0.0.1:{destination.port}/live",
            stream_key="one",
        )
        send = ["ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy", "-f", "flv"]
        encoder = await asyncio.create_subprocess_exec(*send, await ana.address(), stdin=asyncio.subprocess.DEVNULL)
        try:
            await ana.until("live.started")
            room = Room("RTMP", ana, folder)
            begun = time.monotonic()
            for number in range(looks):
                await asyncio.sleep(max(0.0, begun + seconds * number / looks - time.monotonic()))
                await room.look()
            await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
            await room.recorded()
        finally:
            if encoder.returncode is None:
                encoder.kill()
            await encoder.wait()
        await destination.stop(signal.SIGTERM)
        (pushed,) = destination.recordings()
        sent = Found("RTMP, pushed to nginx-rtmp", read=await forwards(str(pushed)))
        for start in (0.0, seconds / 2, seconds - STRETCH - 3):
            sent.stretches.append(await looked_at(str(pushed), start))
    return [*room.found, sent]


async def by_whip(server: LiveServer, folder: Path, seconds: float) -> list[Found]:
    """Muted for a minute after a quarter of the time, and larger after the half. A short form is not muted."""
    flashes, beeps = Flashes(), Beeps()
    async with creator(server, "ben") as ben, publishing(ben, flashes, beeps):
        await ben.until("live.started")
        room = Room("WHIP", ben, folder)
        begun = time.monotonic()

        async def reach(share: float) -> None:
            await asyncio.sleep(max(0.0, begun + share * seconds - time.monotonic()))

        await room.look()
        muted = (0.0, 0.0)
        if seconds >= LONG_SECONDS:
            await reach(0.25)
            muted = time.monotonic() - begun - 3, time.monotonic() - begun + MUTED_SECONDS + 3
            beeps.muted = True
            await asyncio.sleep(MUTED_SECONDS)
            beeps.muted = False
            await reach(0.375)
            await room.look()
        await reach(0.5)
        flashes.width, flashes.height = 640, 480
        await until(lambda: room.watched.inits == 2, PATIENCE)
        if seconds >= LONG_SECONDS:
            await reach(0.625)
            await room.look()
            await reach(0.95)
            await room.look()
        await reach(1.0)
        await room.recorded(muted)
    return room.found


async def run(seconds: float, looks: int, size: str, kbit: int) -> list[Found]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("rtmp", "whip"):
            (folder / part).mkdir()
        settings = {"GALAXY_RELAY__PUSH_NETWORKS": "127.0.0.0/8"}
        with LiveServer(folder / "data", settings) as server:
            async with asyncio.TaskGroup() as tasks:
                one = tasks.create_task(by_rtmp(server, folder / "rtmp", seconds, looks, size, kbit))
                other = tasks.create_task(by_whip(server, folder / "whip", seconds))
    return [*one.result(), *other.result()]


def report(found: list[Found], minutes: float, load: float) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    lines = [
        "# Sound and picture",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip()}, "
        f"`python -m tests.media.sync --minutes {minutes:g}`; load of the two cores {load:.1f}.",
        "Flash and beep once a second. By RTMP: ffmpeg, 1080p30 with B-frames at 6 Mbit/s and AAC, as it is. By WHIP:",
        "aiortc, whose microphone is muted for a minute and whose picture grows in the middle.",
        "",
        "| output | stretches, flashes | farthest apart | at first | at last | in all |",
        "|---|---|---|---|---|---|",
        *(one.row() for one in found),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    found = asyncio.run(run(args.minutes * 60, 6, "1920x1080", 6_000))
    text = report(found, args.minutes, os.getloadavg()[1])
    print(text)
    (args.output / f"{datetime.now(UTC):%Y-%m-%d}-sync.md").write_text(text, encoding="utf-8")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
