"""Access units of RTP payloads: H.264 (RFC 6184), VP8 (RFC 7741), Opus (RFC 7587)."""

from typing import Protocol

from msgspec import Struct

from relay import h264
from relay.keyframes import SLOW
from relay.rtc.jitter import Indexed
from relay.units import AudioConfig, VideoConfig

OPUS = AudioConfig("opus", 48_000, 2)

_LARGEST_UNIT = 4 * 1024 * 1024
_MOST_NALS = 4_096
_MOST_SETS, _LARGEST_SET = 31, 65_535
_STAP_A, _FU_A = 24, 28
_PATIENCE = SLOW
"""Ticks after a loss in which only a keyframe is let through: a picture that stands still is better than a broken one.
Then what comes is given on, as it may look: no keyframe can be asked of its encoder, and its own come seldom.
"""


class Frame(Struct, frozen=True, gc=False):
    """An access unit with its RTP timestamp."""

    timestamp: int
    data: bytes
    key: bool
    config: VideoConfig | AudioConfig


class Depacketiser(Protocol):
    """Frames of packets in order. `broken`: a keyframe is needed, to begin with or after a loss."""

    broken: bool

    def push(self, indexed: Indexed) -> list[Frame]:
        """The frames that this packet completes. Malformed payloads and frames with a packet missing give none."""


class Opus:
    """A frame a packet; what is lost is the listener's to conceal."""

    broken = False

    def push(self, indexed: Indexed) -> list[Frame]:
        packet = indexed[1]
        return [Frame(packet.timestamp, packet.payload, True, OPUS)] if packet.payload else []


class _Video:
    """What both video codecs have in common: frames end at the marker or where the timestamp changes, and after a loss
    nothing is given until a keyframe, or for seconds.
    """

    def __init__(self) -> None:
        self.broken = True
        self._index: int | None = None
        self._timestamp = 0
        self._size = 0
        self._whole = True
        """Of the frame that is being put together, everything has come."""
        self._broken_at: int | None = None
        """The timestamp of the first frame after the loss; None where nothing has been given yet."""

    def push(self, indexed: Indexed) -> list[Frame]:
        index, packet = indexed
        frames: list[Frame] = []
        gap = self._index is not None and index != self._index + 1
        self._index = index
        if self._size and packet.timestamp != self._timestamp:
            self._whole = self._whole and not gap
            self._end(frames)
        if gap:
            self._lose(packet.timestamp)
            self._whole = not self._size and self._begins(packet.payload)
        if not packet.payload:
            return frames
        self._timestamp = packet.timestamp
        self._size += len(packet.payload)
        try:
            if self._whole:
                self._payload(packet.payload)
        except ValueError:
            self._lose(packet.timestamp)
        if self._size > _LARGEST_UNIT:
            self._lose(packet.timestamp)
        if packet.marker:
            self._end(frames)
        return frames

    def _lose(self, timestamp: int) -> None:
        self._whole = False
        self._drop()
        if not self.broken:
            self.broken, self._broken_at = True, timestamp

    def _end(self, frames: list[Frame]) -> None:
        try:
            frame = self._frame() if self._whole else None
        except ValueError:
            frame = None
            self._lose(self._timestamp)
        self._drop()
        self._size, self._whole = 0, True
        if frame is None:
            return
        if self.broken and not frame.key and not self._impatient(frame.timestamp):
            return
        self.broken = False
        frames.append(frame)

    def _impatient(self, timestamp: int) -> bool:
        return self._broken_at is not None and (timestamp - self._broken_at) & 0xFFFFFFFF >= _PATIENCE

    def _begins(self, payload: bytes) -> bool:
        """Whether nothing of its frame can come before this."""
        raise NotImplementedError

    def _payload(self, payload: bytes) -> None:
        raise NotImplementedError

    def _frame(self) -> Frame | None:
        raise NotImplementedError

    def _drop(self) -> None:
        raise NotImplementedError


class H264(_Video):
    """Single NAL units, STAP-A and FU-A, as packetization-mode 1 has them. Parameter sets are taken out into the
    config, which is the same object until a keyframe brings other ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nals: list[bytes] = []
        self._sps: list[bytes] = []
        self._pps: list[bytes] = []
        self._fragments: list[bytes] = []
        self._config: VideoConfig | None = None

    def _begins(self, payload: bytes) -> bool:
        kind = h264.nal_type(payload) if payload else 0
        return (payload[3] & 31 if kind == _STAP_A and len(payload) > 3 else kind) in (h264.SPS, h264.DELIMITER)

    def _payload(self, payload: bytes) -> None:
        kind = h264.nal_type(payload)
        if kind == _FU_A:
            self._fragment(payload)
            return
        if self._fragments:
            raise ValueError("FU-A: another NAL unit before its end")
        if kind == _STAP_A:
            for nal in h264.split_lengths(payload[1:], 2):
                self._nal(nal)
        elif 0 < kind < _STAP_A:
            self._nal(payload)
        else:
            raise ValueError(f"NAL unit type {kind} in packetization-mode 1")

    def _fragment(self, payload: bytes) -> None:
        if len(payload) < 2:
            raise ValueError("FU-A: shorter than its header")
        indicator, header = payload[0], payload[1]
        if header & 0x80:
            if self._fragments:
                raise ValueError("FU-A: begins twice")
            self._fragments.append(bytes((indicator & 0xE0 | header & 0x1F,)))
        elif not self._fragments:
            raise ValueError("FU-A: goes on without a beginning")
        self._fragments.append(payload[2:])
        if header & 0x40:
            nal = b"".join(self._fragments)
            self._fragments.clear()
            self._nal(nal)

    def _nal(self, nal: bytes) -> None:
        kind = h264.nal_type(nal)
        if kind in (h264.SPS, h264.PPS):
            sets = self._sps if kind == h264.SPS else self._pps
            if nal not in sets:
                sets.append(nal)
            if len(sets) > _MOST_SETS or len(nal) > _LARGEST_SET:
                raise ValueError("parameter sets that no file can hold")
        elif kind not in (h264.DELIMITER, h264.END_OF_SEQUENCE, h264.END_OF_STREAM, h264.FILLER):
            self._nals.append(nal)
            if len(self._nals) > _MOST_NALS:
                raise ValueError("too many NAL units")

    def _frame(self) -> Frame | None:
        if self._fragments:
            raise ValueError("FU-A: its end is missing")
        key = any(h264.nal_type(nal) == h264.IDR for nal in self._nals)
        if key:
            self._configure()
        if self._config is None or not self._nals:
            return None
        return Frame(self._timestamp, h264.join_lengths(self._nals), key, self._config)

    def _configure(self) -> None:
        old = self._config
        sps = tuple(self._sps) or (old.sps if old else ())
        pps = tuple(self._pps) or (old.pps if old else ())
        if old is None or (sps, pps) != (old.sps, old.pps):
            self._config = h264.config_of(sps, pps)

    def _drop(self) -> None:
        # Parameter sets may come in an access unit before that of their keyframe.
        if self._nals or not self._whole:
            self._sps.clear()
            self._pps.clear()
        self._nals.clear()
        self._fragments.clear()


class Vp8(_Video):
    """One partition or more a packet; a keyframe's header has the size (RFC 6386, section 9.1)."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._config: VideoConfig | None = None

    def _begins(self, payload: bytes) -> bool:
        return bool(payload) and payload[0] & 0x17 == 0x10

    def _payload(self, payload: bytes) -> None:
        at = _vp8_descriptor(payload)
        if self._begins(payload) == bool(self._parts):
            raise ValueError("VP8: a frame that begins twice, or goes on without a beginning")
        if len(payload) > at:
            self._parts.append(payload[at:])

    def _frame(self) -> Frame | None:
        data = b"".join(self._parts)
        if not data:
            return None
        key = not data[0] & 1
        if key:
            if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
                raise ValueError("VP8: no start code")
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
            old = self._config
            if old is None or (width, height) != (old.width, old.height):
                self._config = VideoConfig("vp8", width, height)
        return Frame(self._timestamp, data, key, self._config) if self._config else None

    def _drop(self) -> None:
        self._parts.clear()


def _vp8_descriptor(payload: bytes) -> int:
    """Its length (RFC 7741, section 4.2)."""
    at = 1
    if payload[0] & 0x80:
        extension = payload[1] if len(payload) > 1 else 0
        at = 2
        if extension & 0x80:
            at += 2 if len(payload) > at and payload[at] & 0x80 else 1
        if extension & 0x40:
            at += 1
        if extension & 0x30:
            at += 1
    if len(payload) < at:
        raise ValueError("VP8: ends in its payload descriptor")
    return at
