"""Media made by ffmpeg for tests, as the access units that publishers give."""

import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import av
from msgspec.structs import replace

from relay import aac, h264
from relay.units import HZ, AudioConfig, Unit, VideoConfig


def film(
    path: Path,
    seconds: float,
    *,
    video: bool = True,
    audio: bool = True,
    size: str = "320x180",
    rate: int = 30,
    gop: int = 60,
    b_frames: int = 2,
    hertz: int = 48_000,
) -> Path:
    """A file with a test picture and a tone."""
    inputs, outputs = [], []
    if video:
        inputs += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]
        outputs += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "300k", "-g", str(gop)]
        outputs += ["-keyint_min", str(gop), "-sc_threshold", "0", "-bf", str(b_frames)]
    if audio:
        inputs += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={hertz}:duration={seconds}"]
        outputs += ["-c:a", "aac", "-b:a", "64k"]
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *inputs, *outputs, str(path)], check=True)
    return path


@lru_cache
def units_of(path: Path) -> Sequence[Unit]:
    """All of a file's, in the order of their decode times, the first at 0."""
    found: list[Unit] = []
    configs: dict[int, VideoConfig | AudioConfig] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            stream = packet.stream
            if stream.index not in configs:
                extra = stream.codec_context.extradata or b""
                video = stream.type == "video"
                configs[stream.index] = h264.read_avcc(extra)[0] if video else aac.read_specific(extra)
            pts, dts = (round(time * packet.time_base * HZ) for time in (packet.pts, packet.dts))
            kind = "video" if stream.type == "video" else "audio"
            key = packet.is_keyframe or kind == "audio"
            found.append(Unit(kind, pts, dts, bytes(packet), key, configs[stream.index]))  # type: ignore[arg-type]  # one of the two
    found.sort(key=lambda unit: unit.dts)
    first = found[0].dts
    return [replace(unit, pts=unit.pts - first, dts=unit.dts - first) for unit in found]
