"""A film whose pictures show their numbers, so that each that is shown somewhere can be held against its own."""

import base64
import io
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT = 640, 360
BITS, SIDE = 9, 40
FILM_SECONDS = 16
FRAMES = 30 * FILM_SECONDS
Picture = np.ndarray[Any, Any]


def film(path: Path) -> None:
    """Of 480 pictures without B-frames at 1.5 Mbit/s; the number of each is in its first row, lowest bit first. It can
    be looped.
    """
    boxes = [f"drawbox=x=0:y=0:w={BITS * SIDE}:h={SIDE}:color=black:t=fill"]
    for bit in range(BITS):
        lit = f"enable='gte(mod(n/{1 << bit},2),1)'"
        boxes.append(f"drawbox=x={bit * SIDE}:y=0:w={SIDE}:h={SIDE}:color=white:t=fill:{lit}")
    picture = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=30,{','.join(boxes)}"
    sound = f"sine=sample_rate=48000,atrim=end_sample={48_000 * FILM_SECONDS - 1024}"
    rate = ["-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k", "-g", "60", "-bf", "0"]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", *rate, "-c:a", "aac", "-ac", "2"]
    colours = [word for name in ("colorspace", "color_primaries", "color_trc") for word in (f"-{name}", "smpte170m")]
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *codecs, *colours, "-t", str(FILM_SECONDS), str(path)]
    subprocess.run(command, check=True)


def luma(frame: av.VideoFrame) -> Picture:
    """0 to 255, of whatever format."""
    rgb = frame.to_ndarray(format="rgb24").astype(float)
    weighed: Picture = rgb @ np.array([0.299, 0.587, 0.114])
    return weighed


def pictures(path: Path) -> list[Picture]:
    """A film's, by number."""
    with av.open(str(path), "r") as container:
        return [luma(frame).astype(np.uint8) for frame in container.decode(video=0)]


def number(picture: Picture) -> int:
    return sum(1 << bit for bit in range(BITS) if picture[SIDE // 2, bit * SIDE + SIDE // 2] > 127)


def psnr(png: str, reference: Sequence[Picture]) -> float:
    """In dB, of a picture as the browser shows it, against the one of its number."""
    with av.open(io.BytesIO(base64.b64decode(png)), "r", format="png_pipe") as container:
        shown = luma(next(container.decode(video=0)))
    error = float(((shown - reference[number(shown) % len(reference)]) ** 2).mean())
    return 10 * math.log10(255**2 / max(error, 1e-3))
