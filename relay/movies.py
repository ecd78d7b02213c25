"""A recording's parts as MP4 files: what is on disk with a head before it, and on a clock of their own."""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from relay import cmaf
from relay.feed_values import Stored
from relay.files import Recording


class Movie(Struct, frozen=True):
    """`head`, then `size` bytes that `read_movie` gives. `segments` are on disk as the stream had them; `start` in
    ticks is where they begin on its clock, and the file's 0.
    """

    head: bytes
    start: int
    segments: tuple[Stored, ...]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.segments)


def movie(found: Recording, part: int) -> Movie | None:
    """The `part`th of the recording's parts as MP4, from 1; None where there are fewer.

    Fragments with a `sidx` in front, which browsers play and seek in at once, and of which nothing but their times has
    to be written again, however long it is: a table of all samples would take a second of a media process for each four
    hours. An edit list does not do instead: beside a `sidx` libav takes the length without it.
    """
    parts = found.parts
    if not 1 <= part <= len(parts):
        return None
    init, stored = parts[part - 1]
    duration = sum(one.duration for one in stored)
    track = cmaf.VIDEO_TRACK if init.width else cmaf.AUDIO_TRACK
    references = [cmaf.Reference(one.size, one.duration, True) for one in stored]
    head = cmaf.with_duration(init.data, duration) + cmaf.segment_index(track, 0, references)
    return Movie(head, stored[0].start, stored)


def read_movie(folder: Path, film: Movie, at: int, size: int) -> bytes | None:
    """`size` bytes from `at` on, which counts from behind the head. None where they are gone. Raises ValueError for a
    file that is not as it was written.
    """
    begin = film.segments[0].offset + at
    end = begin + size
    try:
        with (folder / film.segments[0].file).open("rb") as file:
            file.seek(begin)
            data = bytearray(file.read(size))
            if len(data) < size:
                return None
            for start, moof in _moofs(file, film, begin, end):
                low, high = max(start, begin), min(start + len(moof), end)
                data[low - begin : high - begin] = cmaf.earlier(moof, film.start)[low - start : high - start]
    except FileNotFoundError:
        return None
    return bytes(data)


def _moofs(file: BinaryIO, film: Movie, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Those of which some lies between, and where."""
    at = film.segments[bisect_right(film.segments, begin, key=lambda one: one.offset) - 1].offset
    while at < end:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[:4])
        if size < len(head) or len(head) < 8:
            raise ValueError(f"{film.segments[0].file}: no box at byte {at}")
        if head[4:] == b"moof" and at + size > begin:
            yield at, head + file.read(size - 8)
        at += size
