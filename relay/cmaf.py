"""CMAF (ISO/IEC 23000-19): init segments, and fragments of one moof and one mdat with H.264 and AAC-LC.

Written here because libav's muxer holds fragments back while a track is silent. Both tracks run on the stream's clock
of 90 kHz. No edit list: what an AAC encoder puts in front is compensated in the units (`relay/audio.py`), and
composition offsets are signed (trun of version 1).
"""

import itertools
import struct
from collections.abc import Sequence

from msgspec import Struct

from relay import h264
from relay.boxes import Box, box, child, full_box, read_boxes
from relay.units import HZ, AudioConfig, Unit, VideoConfig

VIDEO_TRACK, AUDIO_TRACK = 1, 2

_KEY, _OTHER = 0x02000000, 0x01010000
"""Sample flags (8.8.3.1): depends on no other; depends on others and is no sync sample."""
_DATA_OFFSET, _DURATIONS, _SIZES, _FLAGS, _COMPOSITION = 0x1, 0x100, 0x200, 0x400, 0x800
_BASE_IS_MOOF, _EMPTY, _DEFAULT_FLAGS = 0x020000, 0x010000, 0x20
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_ENGLISH_UNDETERMINED = 0x55C4
_NO_DURATION = b"\0\0\0\0"


class Run(Struct, frozen=True, gc=False):
    """Units of one track that follow each other, `dts` never going back. Each lasts until the next one's `dts`, the
    last for `last` ticks.
    """

    units: Sequence[Unit]
    last: int


def codecs(video: VideoConfig | None, audio: AudioConfig | None) -> str:
    """RFC 6381, as in MIME types and in HLS's CODECS: `avc1.64001f,mp4a.40.2`."""
    return ",".join([*([h264.codec_string(video)] if video else []), *(["mp4a.40.2"] if audio else [])])


def init_segment(video: VideoConfig | None, audio: AudioConfig | None) -> bytes:
    """ftyp and moov."""
    tracks, extends = [], []
    if video is not None:
        tracks.append(_video_track(video))
        extends.append(_trex(VIDEO_TRACK))
    if audio is not None:
        tracks.append(_audio_track(audio))
        extends.append(_trex(AUDIO_TRACK))
    movie = full_box(
        b"mvhd", 0, 0, bytes(8), HZ.to_bytes(4), _NO_DURATION, b"\0\1\0\0\1\0", bytes(10), _MATRIX, bytes(24),
        (AUDIO_TRACK + 1).to_bytes(4),
    )  # fmt: skip
    brands = box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41")
    return brands + box(b"moov", movie, *tracks, box(b"mvex", *extends))


def _trex(track: int) -> bytes:
    return full_box(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0))


def _track(track: int, header: bytes, handler: bytes, media_header: bytes, entry: bytes) -> bytes:
    name = b"VideoHandler\0" if track == VIDEO_TRACK else b"SoundHandler\0"
    tables = [full_box(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc", b"stco")]
    samples = box(
        b"stbl", full_box(b"stsd", 0, 0, b"\0\0\0\1", entry), *tables, full_box(b"stsz", 0, 0, bytes(8))
    )  # fmt: skip
    where = box(b"dinf", full_box(b"dref", 0, 0, b"\0\0\0\1", full_box(b"url ", 0, 1)))
    times = struct.pack(">IIIIHH", 0, 0, HZ, 0, _ENGLISH_UNDETERMINED, 0)
    return box(
        b"trak",
        full_box(b"tkhd", 0, 3, bytes(8), track.to_bytes(4), bytes(16), header),
        box(
            b"mdia",
            full_box(b"mdhd", 0, 0, times),
            full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name),
            box(b"minf", media_header, where, samples),
        ),
    )


def _video_track(config: VideoConfig) -> bytes:
    entry = box(
        b"avc1", bytes(6), b"\0\1", bytes(16), struct.pack(">HHII", config.width, config.height, 0x480000, 0x480000),
        bytes(4), b"\0\1", bytes(32), b"\0\x18\xff\xff", box(b"avcC", h264.write_avcc(config)),
    )  # fmt: skip
    header = bytes(8) + _MATRIX + struct.pack(">II", config.width << 16, config.height << 16)
    return _track(VIDEO_TRACK, header, b"vide", full_box(b"vmhd", 0, 1, bytes(8)), entry)


def _audio_track(config: AudioConfig) -> bytes:
    # A rate above 65,535 Hz does not fit; the AudioSpecificConfig is what decoders go by.
    rate = config.rate if config.rate < 1 << 16 else 0
    entry = box(
        b"mp4a", bytes(6), b"\0\1", bytes(8), struct.pack(">HHIHH", config.channels, 16, 0, rate, 0), _esds(config)
    )
    header = bytes(4) + b"\1\0\0\0" + _MATRIX + bytes(8)
    return _track(AUDIO_TRACK, header, b"soun", full_box(b"smhd", 0, 0, bytes(4)), entry)


def _esds(config: AudioConfig) -> bytes:
    """ISO/IEC 14496-1, 7.2.6: an elementary stream of MPEG-4 audio (0x40, 0x15)."""
    decoder = b"\x40\x15" + bytes(11) + _descriptor(5, config.specific)
    return full_box(b"esds", 0, 0, _descriptor(3, bytes(3), _descriptor(4, decoder), _descriptor(6, b"\2")))


def _descriptor(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes((tag, len(body))) + body


def fragment(sequence: int, video: Run | None, audio: Run | None, start: int) -> bytes:
    """moof and mdat. Without any units, one that only says that nothing is there at `start`."""
    runs = [(track, run) for track, run in ((VIDEO_TRACK, video), (AUDIO_TRACK, audio)) if run is not None]
    filled = [(track, run) for track, run in runs if run.units]
    head = full_box(b"mfhd", 0, 0, (sequence & 0xFFFFFFFF).to_bytes(4))
    if not filled:
        track = runs[0][0]
        empty = full_box(b"tfhd", 0, _BASE_IS_MOOF | _EMPTY, track.to_bytes(4))
        return box(b"moof", head, box(b"traf", empty, _tfdt(start))) + box(b"mdat")
    # The offsets say where data is from the moof's first byte on, so its size has to be known: it does not depend on
    # what they are.
    sizes = [sum(len(unit.data) for unit in run.units) for _, run in filled]
    offset = len(box(b"moof", head, *(_traf(track, run, 0) for track, run in filled))) + 8
    fragments = []
    for (track, run), size in zip(filled, sizes, strict=True):
        fragments.append(_traf(track, run, offset))
        offset += size
    data = (unit.data for _, run in filled for unit in run.units)
    return b"".join((box(b"moof", head, *fragments), (8 + sum(sizes)).to_bytes(4), b"mdat", *data))


def _tfdt(time: int) -> bytes:
    return full_box(b"tfdt", 1, 0, time.to_bytes(8))


def _tfhd(track: int) -> bytes:
    if track == VIDEO_TRACK:
        return full_box(b"tfhd", 0, _BASE_IS_MOOF, track.to_bytes(4))
    return full_box(b"tfhd", 0, _BASE_IS_MOOF | _DEFAULT_FLAGS, track.to_bytes(4), _KEY.to_bytes(4))


def _traf(track: int, run: Run, offset: int) -> bytes:
    units = run.units
    times = [unit.dts for unit in units]
    durations = [after - before for before, after in itertools.pairwise(times)] + [run.last]
    flags = _DATA_OFFSET | _DURATIONS | _SIZES
    values: list[int] = []
    if track == VIDEO_TRACK:
        flags |= _FLAGS | _COMPOSITION
        for unit, duration in zip(units, durations, strict=True):
            values += (duration, len(unit.data), _KEY if unit.key else _OTHER, unit.pts - unit.dts)
        form = f">{'IIIi' * len(units)}"
    else:
        for unit, duration in zip(units, durations, strict=True):
            values += (duration, len(unit.data))
        form = f">{'II' * len(units)}"
    trun = full_box(b"trun", 1, flags, struct.pack(">Ii", len(units), offset), struct.pack(form, *values))
    return box(b"traf", _tfhd(track), _tfdt(times[0]), trun)


def audio_of(fragments: bytes) -> bytes:
    """The audio track alone of fragments written here. One without audio becomes one that says that nothing is there.
    Raises ValueError for what was not written here.
    """
    out = []
    view = memoryview(fragments)
    for found in read_boxes(view):
        if found.kind == b"moof":
            out.append(_audio_fragment(view, found))
    return b"".join(out)


def _audio_fragment(data: memoryview, moof: Box) -> bytes:
    head = full_box(b"mfhd", 0, 0, bytes(data[child(data, moof, b"mfhd").body + 4 :][:4]))
    trafs = [found for found in read_boxes(data, moof.body, moof.end) if found.kind == b"traf"]
    for traf in trafs:
        tfhd, tfdt = child(data, traf, b"tfhd"), child(data, traf, b"tfdt")
        kept = bytes(data[tfhd.start : tfdt.end])
        if int.from_bytes(data[tfhd.body + 4 : tfhd.body + 8]) != AUDIO_TRACK:
            continue
        if int.from_bytes(data[tfhd.body + 1 : tfhd.body + 4]) & _EMPTY:
            return box(b"moof", head, box(b"traf", kept)) + box(b"mdat")
        trun = child(data, traf, b"trun")
        count, offset = struct.unpack(">Ii", data[trun.body + 4 : trun.body + 12])
        sizes = struct.unpack(f">{2 * count}I", data[trun.body + 12 : trun.end])[1::2]
        first = moof.start + offset
        table = bytes(data[trun.body + 12 : trun.end])
        size = len(box(b"moof", head, box(b"traf", kept, bytes(trun.end - trun.start))))
        again = full_box(b"trun", 1, _DATA_OFFSET | _DURATIONS | _SIZES, struct.pack(">Ii", count, size + 8), table)
        return box(b"moof", head, box(b"traf", kept, again)) + box(b"mdat", bytes(data[first : first + sum(sizes)]))
    tfdt = child(data, trafs[0], b"tfdt")
    empty = full_box(b"tfhd", 0, _BASE_IS_MOOF | _EMPTY, AUDIO_TRACK.to_bytes(4))
    return box(b"moof", head, box(b"traf", empty, bytes(data[tfdt.start : tfdt.end]))) + box(b"mdat")


class Reference(Struct, frozen=True, gc=False):
    """A stretch of a file for its index: `size` in bytes, `duration` in ticks; `key`: it begins with a keyframe."""

    size: int
    duration: int
    key: bool


def segment_index(track: int, start: int, references: Sequence[Reference]) -> bytes:
    """sidx (8.16.3), for what comes right behind it; `start` is the presentation time there, in ticks. By it players
    seek in a fragmented file without having read it. Raises ValueError for more than 65,535 references.
    """
    if len(references) >= 1 << 16:
        raise ValueError(f"sidx: {len(references)} references")
    entries = b"".join(struct.pack(">III", one.size, one.duration, 0x90000000 if one.key else 0) for one in references)
    head = struct.pack(">IIQQHH", track, HZ, start, 0, 0, len(references))
    return full_box(b"sidx", 1, 0, head, entries)


def with_duration(init: bytes, duration: int) -> bytes:
    """An init segment of ours, saying how long what follows is (mehd, 8.8.2), in ticks."""
    moov = next(found for found in read_boxes(init) if found.kind == b"moov")
    mvex = child(init, moov, b"mvex")
    extends = box(b"mvex", full_box(b"mehd", 1, 0, duration.to_bytes(8)), init[mvex.body : mvex.end])
    return init[: moov.start] + box(b"moov", init[moov.body : mvex.start], extends, init[mvex.end : moov.end])


def earlier(moof: bytes, by: int) -> bytes:
    """A moof written here, whose tracks begin `by` ticks earlier, but not before 0."""
    out = bytearray(moof)
    (whole,) = read_boxes(moof)
    for traf in read_boxes(moof, whole.body, whole.end):
        if traf.kind == b"traf":
            at = child(moof, traf, b"tfdt").body + 4
            out[at : at + 8] = max(0, int.from_bytes(moof[at : at + 8]) - by).to_bytes(8)
    return bytes(out)


def pictures_in(fragments: bytes) -> int:
    """Samples of the video track in fragments written here."""
    count, view = 0, memoryview(fragments)
    for moof in read_boxes(view):
        for traf in read_boxes(view, moof.body, moof.end) if moof.kind == b"moof" else ():
            if traf.kind == b"traf":
                tfhd = child(view, traf, b"tfhd")
                if int.from_bytes(view[tfhd.body + 4 : tfhd.body + 8]) == VIDEO_TRACK and not view[tfhd.body + 1] & 1:
                    trun = child(view, traf, b"trun")
                    count += int.from_bytes(view[trun.body + 4 : trun.body + 8])
    return count
