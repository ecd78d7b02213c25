"""Streams to disk: a thread writes each whole segment; what the thread cannot take or the disk does not is left out.

A disk that is slow or stuck costs segments (`Disk.dropped`), never time of the event loop: what comes after them is in
a file of its own. One that is full, or where a limit is reached, ends that stream's recording. Creators are told.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import structlog
from msgspec.structs import replace

from relay import files
from relay.disk import Disk
from relay.feed_values import Over, Poster, Stored, Told
from relay.files import Manifest
from relay.parts_values import Init, Part, SegmentEnded
from relay.ports import Recorded

log = structlog.get_logger("relay.recording")

DVR_FILE_SEGMENTS = 150
"""In a file, where the stream is not recorded: so that the oldest can be deleted."""
BEGINNING = 64 * 1024
"""Bytes that a stream's beginning counts for among them, and with it all that a stream has without a size: so many
streams more may begin while the disk is stuck, and no recording of others.
"""
MOST_INITS = 64
"""Different init segments of a stream: the manifest that names them is written anew with each."""

STOPPED = "The recording has stopped: {}."


class Recorder:
    """A `relay.parts.Sink`. `told` is given what edge processes are to know of the files, `warn` in words what the
    creator is to know, `recorded` the recording; all in the event loop that it is made in.
    """

    def __init__(
        self,
        disk: Disk,
        folder: str,
        manifest: Manifest,
        dvr_ticks: int,
        told: Callable[[Told], None],
        warn: Callable[[str], None],
        recorded: Callable[[Recorded], None],
    ):
        self._disk, self._folder, self._manifest = disk, disk.media / folder, manifest
        self._dvr_ticks = dvr_ticks
        self._told, self._warn, self._recorded = told, warn, recorded
        self._loop = asyncio.get_running_loop()
        self._parts: list[Part] = []
        self._inits: list[Init] = []
        self._init = 0
        """What the manifest calls the present one: that of the first like it."""
        self._gap = False
        """The segment before found no place."""
        # From here on the thread's alone.
        self._segments: list[Stored] = []
        self._written = 0
        self._in_file = self._files = 0
        self._file = ""
        self._ended = False
        self._taken = disk.do(self._begin, BEGINNING)
        if not self._taken:
            self._loop.call_soon(warn, STOPPED.format("the disk does not keep up"))

    def tell(self, told: Told) -> None:
        if isinstance(told, Init):
            self._take_init(told)
        elif isinstance(told, Part):
            self._parts.append(told)
        elif isinstance(told, SegmentEnded):
            parts, self._parts = self._parts, []
            if parts:
                self._segment(parts, told)
        elif not self._taken:
            return
        elif isinstance(told, Poster):
            self._disk.do(lambda: self._poster(told.data), len(told.data))
        elif isinstance(told, Over):
            self._disk.do(self._finish)

    def _segment(self, parts: list[Part], ended: SegmentEnded) -> None:
        size, init = sum(len(part.data) for part in parts), self._init
        if self._taken and self._disk.do(lambda: self._write(parts, ended, init), size):
            self._gap = False
            return
        self._told(_stored(parts[0], ended))
        if self._taken and self._manifest.record and not self._gap:
            self._gap = True
            self._warn("The disk does not keep up: the recording has a gap.")

    def _take_init(self, init: Init) -> None:
        if not self._taken or (self._inits and not self._init):
            return
        known = next((one for one in self._inits if replace(one, number=init.number) == init), None)
        if known is not None:
            self._init = known.number
        elif len(self._inits) < MOST_INITS:
            self._inits.append(init)
            self._init = init.number
            self._disk.do(lambda: self._add_init(init))
        else:
            self._init = 0
            self._disk.do(lambda: self._guarded(self._end_changing))

    # In the thread

    def _begin(self) -> None:
        self._guarded(self._make)

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True)
        files.write_manifest(self._folder, self._manifest)

    def _add_init(self, init: Init) -> None:
        self._manifest = replace(self._manifest, inits=(*self._manifest.inits, init))
        self._guarded(lambda: files.write_manifest(self._folder, self._manifest))

    def _poster(self, data: bytes) -> None:
        beside = self._folder / "poster.new"

        def write() -> None:
            beside.write_bytes(data)
            beside.replace(self._folder / "poster.webp")

        self._guarded(write)

    def _write(self, parts: list[Part], ended: SegmentEnded, init: int) -> None:
        data = b"".join(part.data for part in parts)
        stored = _stored(parts[0], ended)
        self._guarded(lambda: self._append(replace(stored, init=init), data))
        kept = self._segments[-1] if self._segments and self._segments[-1].msn == ended.msn else stored
        self._loop.call_soon_threadsafe(self._told, replace(kept, init=stored.init))

    def _append(self, stored: Stored, data: bytes) -> None:
        """The bytes, then the line that says so; where there is room for them."""
        if why := self._disk.room_for(self._written, len(data)):
            self._end(why)
            return
        full = not self._manifest.record and self._in_file >= DVR_FILE_SEGMENTS
        if not self._segments or full or not _follows(stored, self._segments[-1]):
            self._next_file(stored.init)
        path = self._folder / self._file
        offset = files.size_of(path)
        try:
            with path.open("ab") as file:
                file.write(data)
            line = replace(stored, file=self._file, offset=offset, size=len(data))
            with (self._folder / files.SEGMENTS).open("ab") as index:
                index.write(files.line_of(line))
        except OSError:
            os.truncate(path, offset)
            raise
        self._segments.append(line)
        self._in_file += 1
        self._written += len(data)
        self._disk.used += len(data)
        if not self._manifest.record:
            self._forget(stored.start + stored.duration - self._dvr_ticks)

    def _next_file(self, number: int) -> None:
        init = next(one for one in self._manifest.inits if one.number == number)
        self._file, self._in_file = f"{number}.{self._files}.mp4", 0
        self._files += 1
        (self._folder / self._file).write_bytes(init.data)

    def _forget(self, before: int) -> None:
        """Files of which all is older: of a stream that is not recorded."""
        while self._segments:
            name = self._segments[0].file
            same = [one for one in self._segments if one.file == name]
            if name == self._file or same[-1].start + same[-1].duration > before:
                return
            (self._folder / name).unlink()
            size = sum(one.size for one in same)
            self._disk.used -= size
            self._written -= size
            del self._segments[: len(same)]
            files.write_index(self._folder, self._segments)

    def _guarded(self, write: Callable[[], None]) -> None:
        if self._ended:
            return
        try:
            write()
        except OSError as error:
            self._end(f"{error.strerror}")

    def _end_changing(self) -> None:
        self._end(f"the encoder has changed its settings more than {MOST_INITS} times")

    def _end(self, why: str) -> None:
        self._ended = True
        self._disk.failed += 1
        log.error("recording_stopped", session=self._manifest.session, reason=why)
        self._loop.call_soon_threadsafe(self._warn, STOPPED.format(why))

    def _finish(self) -> None:
        if not self._manifest.record or not self._segments:
            files.delete(self._folder)
            self._disk.used -= self._written
            return
        with suppress(OSError):  # a full disk: the next start finishes it
            found = files.finish(self._folder)
            if found is not None:
                self._loop.call_soon_threadsafe(self._recorded, found.recorded(self._folder.name))


def _follows(stored: Stored, last: Stored) -> bool:
    """In the same file: what players take for one piece."""
    return (stored.msn, stored.init) == (last.msn + 1, last.init)


def _stored(first: Part, ended: SegmentEnded) -> Stored:
    """As one that could not be written."""
    return Stored(
        ended.msn, ended.start, ended.duration, first.init, first.discontinuity, first.discontinuities, "", 0, 0
    )
