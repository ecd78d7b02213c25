"""FLV's audio and video tags (Adobe Flash Video File Format 10.1, annex E; Enhanced RTMP v2) into access units."""

from typing import Final

from relay.aac import read_specific
from relay.h264 import (
    DELIMITER,
    END_OF_SEQUENCE,
    END_OF_STREAM,
    FILLER,
    IDR,
    PPS,
    SPS,
    config_of,
    join_lengths,
    nal_type,
    read_avcc,
    split_lengths,
)
from relay.rtmp.errors import Unsupported, Violation
from relay.units import HZ, AudioConfig, Unit, VideoConfig

_TICKS = HZ // 1_000

_AVC, _AAC, _ENHANCED_AUDIO = 7, 10, 9
_COMMAND_FRAME = 5
_SEQUENCE_START, _CODED, _SEQUENCE_END, _CODED_X, _METADATA = 0, 1, 2, 3, 4

_VIDEO_CODECS: Final = {2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6", 6: "Screen Video 2", 12: "HEVC"}
_AUDIO_CODECS: Final = {
    0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser", 7: "G.711", 8: "G.711",
    11: "Speex", 14: "MP3",
}  # fmt: skip
_DROPPED: Final = frozenset({SPS, PPS, DELIMITER, END_OF_SEQUENCE, END_OF_STREAM, FILLER})


class TagReader:
    """The tags of one connection. What comes before its track's sequence header is dropped.

    Units are on the publisher's own clock: `dts` is the tag's timestamp, followed over the wrap of its 32 bits.
    """

    def __init__(self, max_pixels: int):
        self._max_pixels = max_pixels
        self._clock = 0
        self._header = {"video": b"", "audio": b""}
        self._video: VideoConfig | None = None
        self._length_bytes = 4
        self._audio: AudioConfig | None = None

    def read(self, video: bool, timestamp: int, data: bytes) -> Unit | None:
        """None for what is no access unit. Raises Violation; Unsupported for codecs and sizes that are not taken."""
        if not data:
            return None
        # Audio and video are interleaved: whichever came last is at most 2**31 ms away.
        self._clock += (timestamp - self._clock + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        try:
            return self._read_video(data) if video else self._read_audio(data)
        except ValueError as error:
            raise Violation(str(error)) from error

    def _read_video(self, data: bytes) -> Unit | None:
        first = data[0]
        if first >> 4 & 7 == _COMMAND_FRAME:
            return None
        if first & 0x80:
            kind, body = first & 15, data[5:]
            if data[1:5] != b"avc1":
                raise _other("video", data[1:5].decode("latin-1"), "H.264")
            if kind > _METADATA:
                raise Unsupported(f"video packets of type {kind} of Enhanced RTMP are not taken here")
            timed = kind == _CODED
        else:
            if first & 15 != _AVC:
                raise _other("video", _VIDEO_CODECS.get(first & 15, f"codec {first & 15}"), "H.264")
            kind, body, timed = data[1] if len(data) > 1 else _METADATA, data[2:], True
        offset = 0
        if timed:
            offset, body = int.from_bytes(body[:3], signed=True), body[3:]
        if kind == _SEQUENCE_START:
            self._set_video(body)
        elif kind in (_CODED, _CODED_X):
            return self._access_unit(body, offset)
        return None

    def _set_video(self, header: bytes) -> None:
        if header != self._header["video"]:
            config, self._length_bytes = read_avcc(header)
            self._use(config)
            self._header["video"] = header

    def _use(self, config: VideoConfig) -> None:
        if config.width * config.height > self._max_pixels:
            size = f"{config.width} × {config.height}"
            raise Unsupported(f"pictures of {size} are too large: at most {self._max_pixels} pixels are taken here")
        if config != self._video:
            self._video = config

    def _access_unit(self, data: bytes, offset: int) -> Unit | None:
        if self._video is None:
            return None
        nals = list(split_lengths(data, self._length_bytes))
        kinds = [nal_type(nal) for nal in nals]
        if not _DROPPED.isdisjoint(kinds) or self._length_bytes != 4:
            sps = tuple(nal for nal in nals if nal_type(nal) == SPS)
            pps = tuple(nal for nal in nals if nal_type(nal) == PPS)
            if sps or pps:
                self._use(config_of(sps or self._video.sps, pps or self._video.pps))
            nals = [nal for nal in nals if nal_type(nal) not in _DROPPED]
            data = join_lengths(nals)
        if not any(kind <= IDR for kind in kinds):
            return None
        dts = self._clock * _TICKS
        return Unit("video", dts + offset * _TICKS, dts, data, IDR in kinds, self._video)

    def _read_audio(self, data: bytes) -> Unit | None:
        if data[0] >> 4 == _ENHANCED_AUDIO:
            kind, body = data[0] & 15, data[5:]
            if data[1:5] != b"mp4a":
                raise _other("audio", data[1:5].decode("latin-1"), "AAC")
        elif data[0] >> 4 == _AAC:
            kind, body = data[1] if len(data) > 1 else _METADATA, data[2:]
        else:
            raise _other("audio", _AUDIO_CODECS.get(data[0] >> 4, f"codec {data[0] >> 4}"), "AAC")
        if kind == _SEQUENCE_START:
            if body != self._header["audio"]:
                self._audio = read_specific(body)
                self._header["audio"] = body
        elif kind == _CODED and self._audio is not None and body:
            at = self._clock * _TICKS
            return Unit("audio", at, at, body, True, self._audio)
        return None


def _other(track: str, codec: str, taken: str) -> Unsupported:
    return Unsupported(f"{track} in {codec!r} is not taken here: set the encoder to {taken}")
