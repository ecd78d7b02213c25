"""A picture of a stream every few seconds: a keyframe, decoded and made WebP (libav, by PyAV)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Literal

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from relay import h264
from relay.ports import Reason
from relay.units import HZ, Unit, VideoConfig

EVERY = 10 * HZ
"""Ticks between two pictures."""
WIDTH = 640
"""Pixels at most; the height follows."""
_QUALITY = "70"


class Thumbnails:
    """An `Output` that looks at keyframes alone. Pictures are made in `executor`, and none while one is being made.
    What cannot be decoded is counted in `failures`, and the next keyframe is tried.
    """

    audio: Literal["aac", "opus"] = "aac"
    wants_keyframe = False

    def __init__(self, executor: Executor, made: Callable[[bytes], None]):
        """`made` is called from the event loop with each picture, and never after `ended`. To be made within a loop."""
        self.failures = 0
        self._executor, self._made = executor, made
        self._loop = asyncio.get_running_loop()
        self._due: int | None = None
        self._working = self._ended = False

    def unit(self, unit: Unit) -> None:
        if unit.kind != "video" or not unit.key or self._working or (self._due is not None and unit.dts < self._due):
            return
        self._due = unit.dts + EVERY
        self._working = True
        self._loop.run_in_executor(self._executor, picture, unit).add_done_callback(self._done)

    def interrupted(self) -> None:
        """The last picture stands."""

    def ended(self, reason: Reason) -> None:
        self._ended = True

    def _done(self, work: "asyncio.Future[bytes]") -> None:
        self._working = False
        if work.cancelled():
            return
        if work.exception() is not None:
            self.failures += 1
            self._due = None
        elif not self._ended:
            self._made(work.result())


def picture(unit: Unit) -> bytes:
    """A keyframe as WebP, at most WIDTH pixels wide. Raises ValueError for what cannot be decoded, or is
    larger than its config says.
    """
    config = unit.config
    if not isinstance(config, VideoConfig):
        raise TypeError("a picture of audio")
    data = unit.data
    if config.codec == "h264":
        data = h264.annex_b([*config.sps, *config.pps, *h264.split_lengths(unit.data)])
    decoder = av.CodecContext.create("h264" if config.codec == "h264" else "vp8", "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - both are
    decoder.thread_count = 1
    # Whatever the data says: no larger than the publisher was let in with.
    width, height = config.width + h264.MOST_CROPPED, config.height + h264.MOST_CROPPED
    decoder.options = {"max_pixels": str(width * height)}
    try:
        frames = [*decoder.decode(Packet(data)), *decoder.decode(None)]
        if not frames:
            raise ValueError("no picture in a keyframe")
        return _webp(frames[0])
    except FFmpegError as error:
        raise ValueError(f"{config.codec}: {error.strerror}") from error


def _webp(frame: VideoFrame) -> bytes:
    width = min(WIDTH, frame.width) & ~1
    height = max(2, round(frame.height * width / frame.width) & ~1)
    encoder = av.CodecContext.create("libwebp", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101 - it is
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = frame.time_base or av.time_base  # type: ignore[assignment]
    encoder.options = {"quality": _QUALITY}
    small = frame.reformat(width, height, "yuv420p")
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
