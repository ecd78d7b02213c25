"""Flash and beep: a white picture and a tone in the first tenth of each second, and finding them again."""

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

TONE = "if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)"
LIGHT, LOUD = 225, 0.2
QUIET_SECONDS = 0.5
"""Between two beeps."""


def film(path: Path, seconds: int, size: str = "640x360", kbit: int = 800) -> None:
    """H.264 with B-frames at 30 pictures a second, and AAC, at a constant rate."""
    picture = f"testsrc2=size={size}:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='{TONE}':s=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-c:a", "aac", "-ac", "2"]
    rate = ["-b:v", f"{kbit}k", "-minrate", f"{kbit}k", "-maxrate", f"{kbit}k", "-bufsize", f"{kbit // 2}k"]
    rate += ["-x264-params", "nal-hrd=cbr"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *codecs, *rate, "-t", str(seconds), str(path)]
    subprocess.run(command, check=True)


class Flashes(VideoStreamTrack):
    """By the wall clock, as the beeps are: the two tracks begin at different moments."""

    width, height = 320, 240

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(self.width, self.height, "yuv420p")
        light = (self._start + pts / 90_000) % 1 < 0.1
        for plane, value in zip(frame.planes, (255 if light else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


class Beeps(AudioStreamTrack):
    muted = False

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        assert frame.pts is not None
        moments = self._start + (np.arange(frame.samples) + frame.pts) / frame.sample_rate
        loud = (moments % 1 < 0.1) & (not self.muted)
        tone = np.where(loud, 12_000 * np.sin(2 * np.pi * 1_000 * moments), 0).astype(np.int16)
        frame.planes[0].update(tone.tobytes())
        return frame


def onsets(source: str, start: float = 0.0, seconds: float = 1e9) -> tuple[list[float], list[float]]:
    """When flashes and when beeps begin in a stretch, in seconds from its source's first; times of each track go
    forwards. `source`: a path or a URL.
    """
    flashes: list[float] = []
    beeps: list[float] = []
    times: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(source) as container:
        first = (container.start_time or 0) / av.time_base
        if start:
            container.seek(round((first + start) * av.time_base))
        light, last = True, -1.0
        for frame in container.decode(video=0, audio=0):
            assert isinstance(frame, VideoFrame | AudioFrame)
            assert frame.pts is not None
            assert frame.time_base is not None
            at = float(frame.pts * frame.time_base) - first
            if isinstance(frame, VideoFrame):
                times["video"].append(at)
                now = bool(frame.to_ndarray(format="gray")[::8, ::8].mean() > LIGHT)
                if now and not light:
                    flashes.append(at)
                light = now
                if at > start + seconds:
                    break
            else:
                times["audio"].append(at)
                samples = np.abs(frame.to_ndarray()).max(axis=0)
                if frame.format.name.startswith("s16"):
                    samples = samples / 32_768
                for index in np.flatnonzero(samples > LOUD):
                    moment = at + float(index) / frame.sample_rate
                    if moment - last > QUIET_SECONDS:
                        beeps.append(moment)
                    last = moment
    for track in times.values():
        assert all(b > a for a, b in pairwise(track)), source
    return flashes, beeps


def apart(source: str, start: float = 0.0, seconds: float = 1e9) -> list[float]:
    """By how much each beep of a stretch is later than its flash, in seconds. Not of the first and the last flash: the
    beep of one may stand before the first keyframe, of the other beyond the end.
    """
    flashes, beeps = onsets(source, start, seconds)
    inside = flashes[1:-1]
    return [min((beep - flash for beep in beeps), key=abs, default=float("inf")) for flash in inside]
