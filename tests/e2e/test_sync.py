"""Flash and beep: what is seen and heard at once where it is made is within 40 ms where it is watched."""

import asyncio
import io
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from tests.e2e.test_live import recordings
from tests.support.live import Creator, LiveServer, creator, ended, parts
from tests.support.webrtc import publishing

APART = 0.040
FLASH = "if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)"


def film(path: Path, seconds: int) -> None:
    """A white picture and a beep for the first tenth of each second."""
    picture = "color=black:size=640x360:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='{FLASH}':s=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-c:a", "aac", "-ac", "2"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, *codecs, "-t", str(seconds), str(path)], check=True)


def onsets(mp4: bytes) -> tuple[list[float], list[float]]:
    """When flashes and when beeps begin, in seconds; times of each track go forwards."""
    flashes: list[float] = []
    beeps: list[float] = []
    with av.open(io.BytesIO(mp4), "r") as container:
        times: dict[str, list[int]] = {"video": [], "audio": []}
        light = False
        last = -1.0
        for frame in container.decode(video=0, audio=0):
            assert isinstance(frame, VideoFrame | AudioFrame)
            assert frame.pts is not None
            assert frame.time_base is not None
            at = float(frame.pts * frame.time_base)
            if isinstance(frame, VideoFrame):
                times["video"].append(frame.pts)
                now = bool(frame.to_ndarray(format="gray").mean() > 128)
                if now and not light:
                    flashes.append(at)
                light = now
            else:
                times["audio"].append(frame.pts)
                samples = np.abs(frame.to_ndarray()).max(axis=0)
                found = np.flatnonzero(samples > 0.2)
                for index in found:
                    moment = at + float(index) / frame.sample_rate
                    if moment - last > 0.5:
                        beeps.append(moment)
                    last = moment
        for pts in times.values():
            assert all(b > a for a, b in pairwise(pts))
    return flashes, beeps


async def recorded(ana: Creator) -> bytes:
    await ana.command(type="live.stop", room=ana.room)
    (recording,) = await recordings(ana)
    return (await ana.client.get(recording["mp4"], follow_redirects=True)).content


def hold_together(mp4: bytes, least: int) -> None:
    """The first ones may stand before the first keyframe, and the last beyond the end, of one track alone."""
    flashes, beeps = onsets(mp4)
    pairs = [(flash, min(beeps, key=lambda beep, flash=flash: abs(beep - flash))) for flash in flashes]  # type: ignore[misc]
    together = [(flash, beep) for flash, beep in pairs if flashes[0] < flash < flashes[-1]]
    assert len(together) >= least
    assert max(abs(flash - beep) for flash, beep in together) <= APART, together


async def test_an_encoders_flash_and_beep_stay_together(tmp_path: Path) -> None:
    await asyncio.to_thread(film, tmp_path / "film.flv", 12)
    with LiveServer(tmp_path / "data") as server:
        async with creator(server) as ana:
            command = [
                "ffmpeg",
                "-loglevel",
                "quiet",
                "-re",
                "-i",
                str(tmp_path / "film.flv"),
                "-c",
                "copy",
                "-f",
                "flv",
            ]
            command.append(await ana.address())
            with subprocess.Popen(command, stdin=subprocess.DEVNULL) as publishing:  # noqa: ASYNC220 - it waits for nothing
                await ended(publishing)
            hold_together(await recorded(ana), 7)


class Flashes(VideoStreamTrack):
    """By the wall clock, as the beeps are: the two tracks begin at different moments."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(320, 240, "yuv420p")
        light = (self._start + pts / 90_000) % 1 < 0.1
        for plane, value in zip(frame.planes, (235 if light else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


class Beeps(AudioStreamTrack):
    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        assert frame.pts is not None
        moments = self._start + (np.arange(frame.samples) + frame.pts) / frame.sample_rate
        tone = np.where(moments % 1 < 0.1, 12_000 * np.sin(2 * np.pi * 1_000 * moments), 0).astype(np.int16)
        frame.planes[0].update(tone.tobytes())
        return frame


async def test_a_browsers_flash_and_beep_stay_together(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, publishing(ana, Flashes(), Beeps()):
            await ana.until("live.started")
            viewer = await ana.shown()
            await parts(viewer, 40)
            await viewer.close()
            hold_together(await recorded(ana), 7)
