"""The files of a stream in a folder of its own, which serve its DVR window and become its recording.

`manifest.json` is replaced whole at each change (new init segment, end). `segments.jsonl` has a line for each segment,
written after the segment's bytes. `N.K.mp4` holds the segments of init segment N, that first: a fragmented MP4 as it
is. What a crash leaves is whole up to the last line; a torn line and the bytes behind it are cut off at the next start.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from relay.feed_values import Stored
from relay.parts_values import Init
from relay.ports import Recorded
from relay.units import HZ

MANIFEST, SEGMENTS = "manifest.json", "segments.jsonl"


class Manifest(Struct, frozen=True):
    """`process`: the media process whose it is. `record`: it is kept when the stream is over."""

    room: str
    session: str
    user: str
    epoch_ms: int
    secret: bytes
    process: int
    record: bool
    state: Literal["live", "finished"] = "live"
    inits: tuple[Init, ...] = ()


class Recording(Struct, frozen=True):
    manifest: Manifest
    segments: tuple[Stored, ...]

    @property
    def parts(self) -> tuple[tuple[Init, tuple[Stored, ...]], ...]:
        """File by file, with its init segment: as many MP4 files it is, as none can change its codecs. One init segment
        may have several, where the stream came back to it.
        """
        inits = {init.number: init for init in self.manifest.inits}
        by_file: dict[str, list[Stored]] = {}
        for one in self.segments:
            by_file.setdefault(one.file, []).append(one)
        return tuple((inits[stored[0].init], tuple(stored)) for stored in by_file.values() if stored[0].init in inits)

    def recorded(self, folder: str) -> Recorded:
        manifest, segments, parts = self.manifest, self.segments, self.parts
        init = parts[-1][0] if parts else None
        return Recorded(
            session=manifest.session,
            room=manifest.room,
            user=manifest.user,
            folder=folder,
            started_at=manifest.epoch_ms + (segments[0].start * 1_000 // HZ if segments else 0),
            length_ms=sum(one.duration for one in segments) * 1_000 // HZ,
            bytes=sum(one.size for one in segments),
            width=init.width if init else 0,
            height=init.height if init else 0,
            parts=len(parts),
        )


_manifest = msgspec.json.Decoder(Manifest)
_line = msgspec.json.Decoder(Stored)
_encode = msgspec.json.encode


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all. Raises OSError."""
    beside = folder / f"{MANIFEST}.new"
    with beside.open("wb") as file:
        file.write(_encode(manifest))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / MANIFEST)


def write_index(folder: Path, segments: Iterable[Stored]) -> None:
    """These alone, where others have gone; whole or not at all. Raises OSError."""
    beside = folder / f"{SEGMENTS}.new"
    beside.write_bytes(b"".join(map(line_of, segments)))
    beside.replace(folder / SEGMENTS)


def line_of(stored: Stored) -> bytes:
    return _encode(stored) + b"\n"


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises OSError where it cannot be read."""
    try:
        return _manifest.decode((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def read_recording(folder: Path) -> Recording | None:
    """As `read_manifest`. A last line that is not whole does not count."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    index = folder / SEGMENTS
    try:
        lines = index.read_bytes().split(b"\n")[:-1] if index.exists() else []
        return Recording(manifest, tuple(_line.decode(line) for line in lines))
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def finish(folder: Path) -> Recording | None:
    """Makes of what a running stream, or one that a crash has ended, has left a recording. Raises OSError."""
    found = read_recording(folder)
    if found is None:
        return None
    index = folder / SEGMENTS
    if index.exists():
        whole = index.read_bytes().rpartition(b"\n")
        os.truncate(index, len(whole[0]) + len(whole[1]))
    ends: dict[str, int] = {}
    for one in found.segments:
        ends[one.file] = one.offset + one.size
    for path in folder.glob("*.mp4"):
        if path.name in ends:
            os.truncate(path, ends[path.name])
        else:
            path.unlink()
    manifest = replace(found.manifest, state="finished")
    write_manifest(folder, manifest)
    return Recording(manifest, found.segments)


def delete(folder: Path) -> None:
    """All of it. Nothing where it is gone already."""
    if folder.exists():
        shutil.rmtree(folder)


def size_of(path: Path) -> int:
    """In bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def bytes_in(media: Path) -> int:
    return sum(size_of(path) for path in media.glob("*/*")) if media.exists() else 0
