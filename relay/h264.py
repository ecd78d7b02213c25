"""H.264's NAL units and parameter sets (ITU-T H.264, 7.3 and 7.4), and their forms in files (ISO/IEC 14496-15)."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from relay.units import VideoConfig

SLICE, IDR, SEI, SPS, PPS, DELIMITER, END_OF_SEQUENCE, END_OF_STREAM, FILLER = 1, 5, 6, 7, 8, 9, 10, 11, 12

_LEAST_PARAMETER_SET = 4
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Those whose SPS says its chroma format (7.3.2.1.1)."""
_LARGEST = 16_384
"""Pixels a side: far above every level, and a bound for what a hostile SPS makes us believe."""
MOST_CROPPED = 64
"""Pixels a side that are coded and not shown: encoders fill up whole macroblocks, or tiles of some of them."""


def nal_type(nal: bytes) -> int:
    return nal[0] & 31


def split_lengths(data: bytes, length_bytes: int = 4) -> Iterator[bytes]:
    """NAL units of data in which each comes after its length. Raises ValueError where one is longer than the data."""
    at, end = 0, len(data)
    while at < end:
        start = at + length_bytes
        at = start + int.from_bytes(data[at:start])
        if start > end or at > end:
            raise ValueError("NAL unit longer than its access unit")
        if at > start:
            yield data[start:at]


def join_lengths(nals: Iterable[bytes]) -> bytes:
    """As `Unit.data` has them: each after its length in four bytes."""
    return b"".join(part for nal in nals for part in (len(nal).to_bytes(4), nal))


def annex_b(nals: Iterable[bytes]) -> bytes:
    """As decoders want them: each after a start code (Annex B)."""
    return b"".join(part for nal in nals for part in (b"\0\0\0\1", nal))


class Sps(Struct, frozen=True, gc=False):
    """What a sequence parameter set says of its pictures. `reorders`: whether B-frames may come (whose `dts` differs
    from their `pts`); true where it does not say.
    """

    profile: int
    compatibility: int
    level: int
    width: int
    height: int
    reorders: bool


def read_sps(nal: bytes) -> Sps:
    """Raises ValueError for what is no sequence parameter set."""
    if len(nal) < _LEAST_PARAMETER_SET or nal_type(nal) != SPS:
        raise ValueError("SPS: too short, or another NAL unit")
    profile, compatibility, level = nal[1:4]
    bits = _Bits(_without_emulation(nal[4:]))
    bits.ue()
    chroma = _chroma(bits) if profile in _HIGH_PROFILES else 1
    bits.ue()  # log2_max_frame_num_minus4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.skip(1)
        bits.ue()
        bits.ue()
        for _ in range(min(bits.ue(), 255)):
            bits.ue()
    bits.ue()  # max_num_ref_frames
    bits.skip(1)
    across, down = bits.ue() + 1, bits.ue() + 1
    fields = 1 if bits.one() else 2
    if fields == 2:
        bits.skip(1)
    bits.skip(1)
    width, height = across * 16, down * 16 * fields
    if bits.one():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * fields
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise ValueError(f"SPS: pictures of {width} × {height}")
    if across * 16 - width > MOST_CROPPED or down * 16 * fields - height > MOST_CROPPED:
        raise ValueError(f"SPS: pictures of {width} × {height}, cut from far larger ones")
    reorders = order_type != 2 and profile != 66 and _reorders(bits)
    return Sps(profile, compatibility, level, width, height, reorders)


def _chroma(bits: "_Bits") -> int:
    chroma = bits.ue()
    if chroma == 3:
        bits.skip(1)
    bits.ue()
    bits.ue()
    bits.skip(1)
    if bits.one():
        for index in range(8 if chroma != 3 else 12):
            if bits.one():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) & 255
        last = following or last


def _reorders(bits: "_Bits") -> bool:
    """max_num_reorder_frames of the VUI (E.1.1); where nothing is said, any number may be."""
    try:
        if not bits.one():
            return True
        if bits.one() and bits.read(8) == 255:
            bits.skip(32)
        if bits.one():
            bits.skip(1)
        if bits.one():
            bits.skip(4)
            if bits.one():
                bits.skip(24)
        if bits.one():
            bits.ue()
            bits.ue()
        if bits.one():
            bits.skip(65)
        timed = False
        for _ in range(2):
            if bits.one():
                timed = True
                _skip_hrd(bits)
        if timed:
            bits.skip(1)
        bits.skip(1)
        if not bits.one():
            return True
        bits.skip(1)
        for _ in range(4):
            bits.ue()
        return bits.ue() > 0
    except ValueError:
        return True


def _skip_hrd(bits: "_Bits") -> None:
    count = bits.ue() + 1
    bits.skip(8)
    for _ in range(min(count, 32)):
        bits.ue()
        bits.ue()
        bits.skip(1)
    bits.skip(20)


def _without_emulation(data: bytes) -> bytes:
    """Without the bytes that keep start codes out of a NAL unit (7.4.1)."""
    return data.replace(b"\0\0\3", b"\0\0")


class _Bits:
    """Reads bits; raises ValueError past the end."""

    def __init__(self, data: bytes):
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("SPS: it ends early")
        return self._value >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        self.read(count)

    def one(self) -> bool:
        return bool(self.read(1))

    def ue(self) -> int:
        zeros = 0
        while not self.one():
            zeros += 1
            if zeros > 32:
                raise ValueError("SPS: no Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


MOST_SPS, MOST_PPS, MOST_SET = 31, 255, 65_535
"""ISO/IEC 14496-15, 5.3.3.1."""


def config_of(sps: Iterable[bytes], pps: Iterable[bytes]) -> VideoConfig:
    """Raises ValueError where a set is missing or cannot be read."""
    sps, pps = tuple(sps), tuple(pps)
    if not sps or not pps:
        raise ValueError("H.264 without SPS or PPS")
    if len(sps) > MOST_SPS or len(pps) > MOST_PPS or any(len(one) > MOST_SET for one in (*sps, *pps)):
        raise ValueError("H.264 with more parameter sets than a decoder's record holds, or longer ones")
    # Pictures may be of any of them.
    largest = max(map(read_sps, sps), key=lambda one: one.width * one.height)
    return VideoConfig("h264", largest.width, largest.height, sps, pps)


def read_avcc(data: bytes) -> tuple[VideoConfig, int]:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), and in how many bytes lengths are given. Raises
    ValueError.
    """
    if len(data) < 7 or data[0] != 1:
        raise ValueError("avcC: too short, or of another version")
    sets: list[list[bytes]] = [[], []]
    at = 5
    for found, mask in zip(sets, (31, 255), strict=True):
        if at >= len(data):
            raise ValueError("avcC: ends early")
        count = data[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2])
            found.append(data[at + 2 : at + 2 + size])
            at += 2 + size
            if at > len(data):
                raise ValueError("avcC: ends in a parameter set")
    return config_of(*sets), (data[4] & 3) + 1


def write_avcc(config: VideoConfig) -> bytes:
    """AVCDecoderConfigurationRecord, with lengths of four bytes."""
    sps, pps = config.sps, config.pps
    return b"".join(
        (
            b"\1" + sps[0][1:4] + b"\xff",
            (0xE0 | len(sps)).to_bytes(1),
            *(len(nal).to_bytes(2) + nal for nal in sps),
            len(pps).to_bytes(1),
            *(len(nal).to_bytes(2) + nal for nal in pps),
        )
    )


def codec_string(config: VideoConfig) -> str:
    """RFC 6381: `avc1.64001f`."""
    return f"avc1.{config.sps[0][1:4].hex()}"
