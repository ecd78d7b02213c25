"""Flash and beep: a white picture and a tone in the first tenth of each second."""

import asyncio
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiortc.mediastreams import MediaStreamTrack, VideoStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

RATE, FRAME = 48_000, 960
TONE = "if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)"


def film(path: Path, seconds: int, size: str = "640x360", kbit: int = 800) -> None:
    """H.264 with B-frames at 30 pictures a second, and AAC, at a constant rate. Each flash begins with a keyframe, and
    another one, which is dark, comes between two.
    """
    picture = f"testsrc2=size={size}:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='{TONE}':s=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "15", "-c:a", "aac", "-ac", "2"]
    rate = ["-b:v", f"{kbit}k", "-minrate", f"{kbit}k", "-maxrate", f"{kbit}k", "-bufsize", f"{kbit // 2}k"]
    rate += ["-x264-params", "nal-hrd=cbr:scenecut=0"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *codecs, *rate, "-t", str(seconds), str(path)]
    subprocess.run(command, check=True)


class Flashes(VideoStreamTrack):
    """By the wall clock, as the beeps are: the two tracks begin at different moments."""

    width, height = 320, 240

    @property
    def late(self) -> float:
        """Seconds from the wall clock's to the first picture that is white, always."""
        return float(getattr(self, "_start", 0.0)) % (1 / 30)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(self.width, self.height, "yuv420p")
        light = (self._start + pts / 90_000) % 1 < 0.1
        for plane, value in zip(frame.planes, (255 if light else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


class Beeps(MediaStreamTrack):
    """Each begins when its flash does. 48 kHz stereo, as Opus takes it: what is resampled is sent a frame later than it
    says.
    """

    kind = "audio"
    muted = False

    def __init__(self, flashes: Flashes):
        super().__init__()
        self._flashes = flashes
        self._start, self._next = 0.0, 0

    async def recv(self) -> AudioFrame:
        pts = self._next
        self._next += FRAME
        self._start = self._start or time.time()
        await asyncio.sleep(max(0.0, self._start + pts / RATE - time.time()))
        moments = self._start - self._flashes.late + (np.arange(FRAME) + pts) / RATE
        loud = (moments % 1 < 0.1) & (not self.muted)
        tone = np.where(loud, 12_000 * np.sin(2 * np.pi * 1_000 * moments), 0).astype(np.int16)
        frame = AudioFrame(format="s16", layout="stereo", samples=FRAME)
        frame.planes[0].update(np.repeat(tone, 2).tobytes())
        frame.pts, frame.sample_rate, frame.time_base = pts, RATE, Fraction(1, RATE)
        return frame
