"""Flash and beep: a white picture and a tone in the first tenth of each second."""

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

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
