"""Units as payloads of RTP packets (RFC 6184, packetization mode 1; RFC 7741; RFC 7587): once for all viewers."""

from collections.abc import Iterator

from msgspec import Struct, field

from relay import h264
from relay.rtc.protect import Run
from relay.units import Kind, Unit, VideoConfig

MOST_PAYLOAD = 1_188
"""Bytes: with RTP's header a packet of 1,200, which every path carries, also with SRTP's tag and IPv6 around it."""

_LEAST_MEAN, _MOST_SMALL = 256, 256
"""Bytes that a unit's payloads have to have in the mean, but for as many as a slice for each row of macroblocks makes:
of slices of a byte there would be as many packets to each viewer.
"""

_STAP_A, _FU_A = 24, 28
_CARRIED = frozenset({h264.SLICE, 2, 3, 4, h264.IDR})
"""Slices and partitions of them. What else a unit has (SEI, filler) no browser looks at."""


class Frame(Struct, frozen=True, gc=False):
    """The payloads of one unit, in order; the marker is on the last one's packet where it is video. `pts` in ticks of
    `relay.units.HZ` on the stream's clock.
    """

    kind: Kind
    key: bool
    pts: int
    payloads: tuple[bytes, ...]
    bytes: int
    runs: dict[int, tuple[Run, ...]] = field(default_factory=dict)
    """As they are protected and sent, by the length of the tag: made with the first viewer who needs them so."""


def frame(unit: Unit) -> Frame:
    """Raises ValueError for H.264 that is malformed, has no slice, or far too many."""
    if unit.kind == "audio":
        payloads: tuple[bytes, ...] = (unit.data,)
    elif isinstance(unit.config, VideoConfig) and unit.config.codec == "vp8":
        payloads = tuple(_vp8(unit.data))
    else:
        payloads = tuple(_h264(unit))
    if not payloads:
        raise ValueError("a unit without anything to show")
    size = sum(map(len, payloads))
    if len(payloads) > _MOST_SMALL + size // _LEAST_MEAN:
        raise ValueError(f"a unit of {len(payloads)} slices")
    return Frame(unit.kind, unit.key, unit.pts, payloads, size)


def _h264(unit: Unit) -> Iterator[bytes]:
    if unit.key and isinstance(unit.config, VideoConfig):
        yield from _parameter_sets([*unit.config.sps, *unit.config.pps])
    for nal in h264.split_lengths(unit.data):
        if h264.nal_type(nal) not in _CARRIED:
            continue
        if len(nal) <= MOST_PAYLOAD:
            yield nal
        else:
            yield from _fragments(nal)


def _parameter_sets(nals: list[bytes]) -> Iterator[bytes]:
    """In one packet where they fit (STAP-A, section 5.7.1)."""
    together = b"".join(part for nal in nals for part in (len(nal).to_bytes(2), nal))
    if len(together) < MOST_PAYLOAD:
        reference = max(nal[0] & 0x60 for nal in nals)
        yield bytes([reference | _STAP_A]) + together
        return
    for nal in nals:
        yield from (nal,) if len(nal) <= MOST_PAYLOAD else _fragments(nal)


def _fragments(nal: bytes) -> Iterator[bytes]:
    """FU-A (section 5.8), all of one size but the last, so that segmentation offload can send them as one."""
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 31
    size, end = MOST_PAYLOAD - 2, len(nal)
    for at in range(1, end, size):
        flags = (0x80 if at == 1 else 0) | (0x40 if at + size >= end else 0)
        yield bytes((indicator, flags | kind)) + nal[at : at + size]


def _vp8(data: bytes) -> Iterator[bytes]:
    """With the shortest descriptor (RFC 7741, section 4.2): S on the first packet of the only partition."""
    size = MOST_PAYLOAD - 1
    for at in range(0, len(data), size):
        yield (b"\x10" if at == 0 else b"\x00") + data[at : at + size]
