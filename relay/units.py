"""Access units: what every publisher is turned into, and what every output is made of."""

from fractions import Fraction
from typing import Literal

from msgspec import Struct

HZ = 90_000
"""The one clock of a stream, in ticks a second: exact for RTMP's milliseconds, RTP's video, Opus's and AAC's frames."""

TICK = Fraction(1, HZ)

Kind = Literal["video", "audio"]


class VideoConfig(Struct, frozen=True, gc=False):
    """How a video track is to be decoded. H.264: the parameter sets, without start codes. VP8 has none."""

    codec: Literal["h264", "vp8"]
    width: int
    height: int
    sps: tuple[bytes, ...] = ()
    pps: tuple[bytes, ...] = ()


class AudioConfig(Struct, frozen=True, gc=False):
    """How an audio track is to be decoded. `rate` in Hz. AAC: `specific` is its AudioSpecificConfig
    (ISO/IEC 14496-3, 1.6.2.1). Opus: `rate` is 48,000, `specific` is empty.
    """

    codec: Literal["aac", "opus"]
    rate: int
    channels: int
    specific: bytes = b""


class Unit(Struct, frozen=True, gc=False):
    """One access unit. `pts` and `dts` are in ticks of HZ since the stream began (`Stream.epoch_ms` is that moment).

    `data`: H.264 as NAL units, each after its length in four bytes (ISO/IEC 14496-15, 5.3.2), without parameter sets
    and access unit delimiters; a raw AAC frame without ADTS; an Opus packet; a VP8 frame.
    `key`: decoding can begin here (of audio always). `config` is the same object until it changes.
    """

    kind: Kind
    pts: int
    dts: int
    data: bytes
    key: bool
    config: VideoConfig | AudioConfig
