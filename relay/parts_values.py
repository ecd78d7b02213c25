"""What the cutter makes of a stream: parts, in segments, each to be decoded after its init segment. Times are in ticks
of the stream's clock. As msgpack they go from a media process to the edge processes (`relay/feed.py`).
"""

from msgspec import Struct

from relay.units import HZ

SHORTEST_PART, LONGEST_PART = HZ * 71 // 250, HZ // 3
"""284 to 333 ms: of a Part Target Duration of 334 ms no part but a segment's last may be shorter than 85%
(RFC 8216bis, 4.4.4.9).
"""
SHORTEST_SEGMENT, LONGEST_SEGMENT = 2 * HZ, 4 * HZ


class Init(Struct, frozen=True, tag="init"):
    """An init segment. `audio`: that of the audio-only rendition, empty where there is none, as are size and rate where
    there is no video.
    """

    number: int
    data: bytes
    audio: bytes
    codecs: str
    width: int
    height: int


class Part(Struct, frozen=True, tag="part"):
    """`index` counts within the segment `msn` (media sequence number), from 0. `independent`: decoding can begin with
    it. `discontinuity`: its segment is the first after a gap or with a new init segment; `discontinuities` counts those
    of the stream, this one too. `empty`: it says only that nothing was there.
    """

    msn: int
    index: int
    start: int
    duration: int
    independent: bool
    init: int
    discontinuity: bool
    discontinuities: int
    empty: bool
    data: bytes


class SegmentEnded(Struct, frozen=True, tag="ended"):
    """The segment is whole: its parts joined."""

    msn: int
    start: int
    duration: int


class Keyframes(Struct, frozen=True, tag="keyframes"):
    """Whether keyframes come often enough for low latency, from now on. `seconds` between them."""

    often: bool
    seconds: float


Cut = Init | Part | SegmentEnded | Keyframes
