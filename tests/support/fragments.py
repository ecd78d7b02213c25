"""A strict reader of CMAF fragments (ISO/IEC 14496-12, 8.8): what it does not expect, it does not pass over."""

import struct
from collections.abc import Iterator

from msgspec import Struct

from relay.boxes import Box, read_boxes

_BASE_IS_MOOF, _DURATION_IS_EMPTY, _DEFAULT_FLAGS = 0x020000, 0x010000, 0x20
_DATA_OFFSET, _DURATIONS, _SIZES, _FLAGS, _COMPOSITION = 0x1, 0x100, 0x200, 0x400, 0x800


class Sample(Struct, frozen=True):
    """`dts`, `duration` and `composition` (of `pts` beyond `dts`) in ticks; `sync`: decoding can begin with it."""

    dts: int
    duration: int
    composition: int
    sync: bool
    data: bytes


class Fragment(Struct, frozen=True):
    """`tracks`: samples by track ID. `at`: the decode time of each track, also of one that has no samples."""

    sequence: int
    tracks: dict[int, list[Sample]]
    at: dict[int, int]


def read_fragment(data: bytes) -> Fragment:
    """One moof and its mdat, of which every byte belongs to one sample. Raises ValueError for anything else."""
    moof, mdat = _kinds(data, read_boxes(data), b"moof", b"mdat")
    mfhd, *trafs = read_boxes(data, moof.body, moof.end)
    _expect(mfhd.kind == b"mfhd" and mfhd.end - mfhd.body == 8 and _full(data, mfhd) == (0, 0), "mfhd")
    found = Fragment(int.from_bytes(data[mfhd.body + 4 : mfhd.end]), {}, {})
    end = mdat.body
    for traf in trafs:
        _expect(traf.kind == b"traf", "traf")
        end = _read_traf(data, traf, end, found)
    _expect(end == mdat.end, f"{mdat.end - end} bytes of mdat are no sample's")
    return found


def _read_traf(data: bytes, traf: Box, at: int, found: Fragment) -> int:
    """`at`: where its samples have to begin. Where they end."""
    tfhd, tfdt, *truns = read_boxes(data, traf.body, traf.end)
    _expect((tfhd.kind, tfdt.kind) == (b"tfhd", b"tfdt") and len(truns) <= 1, "boxes of a traf")
    version, flags = _full(data, tfhd)
    default = flags & _DEFAULT_FLAGS
    _expect(version == 0 and flags & ~_DEFAULT_FLAGS in (_BASE_IS_MOOF, _BASE_IS_MOOF | _DURATION_IS_EMPTY), "tfhd")
    _expect(tfhd.end - tfhd.body == (12 if default else 8), "size of tfhd")
    track = int.from_bytes(data[tfhd.body + 4 : tfhd.body + 8])
    _expect(track not in found.tracks, "a track twice")
    _expect(_full(data, tfdt) == (1, 0) and tfdt.end - tfdt.body == 12, "tfdt")
    dts = found.at[track] = int.from_bytes(data[tfdt.body + 4 : tfdt.end])
    found.tracks[track] = []
    _expect(bool(flags & _DURATION_IS_EMPTY) == (not truns), "duration-is-empty")
    if not truns:
        return at
    (trun,) = truns
    version, flags = _full(data, trun)
    _expect(trun.kind == b"trun" and version == 1, "trun")
    _expect(flags & 0xFF == _DATA_OFFSET and flags & (_DURATIONS | _SIZES) == _DURATIONS | _SIZES, "flags of trun")
    count, offset = struct.unpack(">Ii", data[trun.body + 4 : trun.body + 12])
    _expect(count > 0 and offset == at, f"data at {offset}, of {at}")  # the moof is at 0
    default_flags = int.from_bytes(data[tfhd.body + 8 : tfhd.end]) if default else 0
    place = trun.body + 12
    for _ in range(count):
        duration, size = struct.unpack(">II", data[place : place + 8])
        place += 8
        sample_flags, composition = default_flags, 0
        if flags & _FLAGS:
            sample_flags, place = int.from_bytes(data[place : place + 4]), place + 4
        if flags & _COMPOSITION:
            composition, place = int.from_bytes(data[place : place + 4], signed=True), place + 4
        sync = not sample_flags & 0x10000
        found.tracks[track].append(Sample(dts, duration, composition, sync, data[at : at + size]))
        at, dts = at + size, dts + duration
    _expect(place == trun.end, "size of trun")
    return at


def _kinds(data: bytes, boxes: Iterator[Box], *kinds: bytes) -> list[Box]:
    found = list(boxes)
    _expect(tuple(one.kind for one in found) == kinds, f"{[one.kind for one in found]}")
    _expect(found[-1].end == len(data), "bytes behind the last box")
    return found


def _full(data: bytes, found: Box) -> tuple[int, int]:
    """Version and flags."""
    return data[found.body], int.from_bytes(data[found.body + 1 : found.body + 4])


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"fragment: {what}")
