"""Finding flashes and beeps again: in files, and in what still comes."""

import queue
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

LIGHT, LOUD = 225, 0.2
QUIET_SECONDS = 0.5
"""Between two beeps, and farther from a flash than its beep can be."""
WAITING = 64


class Pieces:
    """A file that one thread reads while another writes it: both wait for each other."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue(WAITING)
        self._rest = b""
        self._ended = self._closed = False

    def write(self, data: bytes) -> None:
        """Nothing ends it. What nobody reads any more is left out."""
        if not self._closed:
            self._queue.put(data)

    def read(self, size: int) -> bytes:
        if not self._rest and not self._ended:
            self._rest = self._queue.get()
            self._ended = not self._rest
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def close(self) -> None:
        self._closed = True
        while not self._queue.empty():
            self._queue.get()


@dataclass
class Onsets:
    """When flashes and beeps begin, in seconds of a source's clock, and how many packets were read."""

    flashes: list[float] = field(default_factory=list)
    beeps: list[float] = field(default_factory=list)
    packets: int = 0

    @property
    def lost(self) -> int:
        """Flashes that were not seen between others: there is one a second."""
        return round(self.flashes[-1] - self.flashes[0]) + 1 - len(self.flashes) if self.flashes else 0

    def apart(self) -> list[float | None]:
        """By how much the beep of each flash is later than it, in seconds; None where there is no beep. Not of the
        first and the last flash: the beep of one may stand before the first keyframe, of the other beyond the end.
        """
        beeps = np.array(self.beeps)
        found: list[float | None] = []
        for flash in self.flashes[1:-1]:
            later = min(beeps - flash, key=abs, default=QUIET_SECONDS)
            found.append(float(later) if abs(later) < QUIET_SECONDS else None)
        return found


def onsets(source: str | Pieces, *, keyframes: bool) -> Onsets:
    """Of all of it. `source`: a path, a URL, or an MP4 that comes. `keyframes`: all flashes begin with one, and no
    other picture is decoded. Decode times of each track, and the times of what is decoded, have to go forwards.
    """
    found = Onsets()
    light, last = True, -1.0
    decoded: dict[str, float] = {}
    sent: dict[int, int] = {}
    with av.open(source, "r", format="mp4" if isinstance(source, Pieces) else None) as container:
        for packet in container.demux(video=0, audio=0):
            if packet.dts is not None:
                found.packets += 1
                assert packet.dts > sent.get(packet.stream_index, -(2**63)), f"{source}: a packet goes back"
                sent[packet.stream_index] = packet.dts
            if keyframes and packet.stream.type == "video" and packet.size and not packet.is_keyframe:
                continue
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame | AudioFrame)
                assert frame.time is not None
                kind = type(frame).__name__
                assert frame.time > decoded.get(kind, -1.0), f"{source}: a {kind} goes back"
                decoded[kind] = frame.time
                if isinstance(frame, VideoFrame):
                    now = luma(frame) > LIGHT
                    if now and not light:
                        found.flashes.append(frame.time)
                    light = now
                else:
                    for moment in loud(frame):
                        if moment - last > QUIET_SECONDS:
                            found.beeps.append(moment)
                        last = moment
    return found


def luma(frame: VideoFrame) -> float:
    """The mean of some of its rows, 0 to 255."""
    plane = frame.planes[0]
    shape = frame.height, plane.line_size
    rows = np.frombuffer(memoryview(plane), np.uint8, count=shape[0] * shape[1]).reshape(shape)
    return float(rows[::16, : frame.width].mean())


def loud(frame: AudioFrame) -> list[float]:
    """When its loud samples are."""
    assert frame.time is not None
    samples = np.abs(frame.to_ndarray()).max(axis=0)
    if frame.format.name.startswith("s16"):
        samples = samples / 32_768
    return [frame.time + float(index) / frame.sample_rate for index in np.flatnonzero(samples > LOUD)]


def onsets_of(pieces: Pieces, *, keyframes: bool) -> Onsets:
    """As `onsets`. However it ends, nobody waits to write any more."""
    try:
        return onsets(pieces, keyframes=keyframes)
    finally:
        pieces.close()
