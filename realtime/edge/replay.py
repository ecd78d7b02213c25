"""What is on disk, read in threads: segments from before those in memory, and recordings."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from relay import cmaf, files
from relay.feed_values import Stored
from relay.hls.media import recording_playlist
from relay.hls.names import Names

AT_ONCE = 16
"""Reads under way; beyond WAITING more that wait, requests are refused."""
WAITING = 256
PIECE = 256 * 1024
"""Bytes of a film that are read at a time: the next when the client has taken these."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class TooBusy(Exception):
    """The disk does not keep up."""


class Replay:
    """`folder`: `[relay] media_dir`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._waiting = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def segment(self, folder: str, stored: Stored, *, audio: bool) -> bytes | None:
        """None where it is gone. Raises TooBusy."""
        data = await self.read(self.folder / folder / stored.file, stored.offset, stored.size)
        return cmaf.audio_of(data) if audio and data is not None else data

    async def read(self, path: Path, offset: int, size: int) -> bytes | None:
        return await self._threaded(path, offset, size)

    async def recording(self, room: str, recording: str) -> files.Recording | None:
        """None where there is none of this room."""
        if not _ID.fullmatch(recording):
            return None
        found = await asyncio.to_thread(files.read_recording, self.folder / recording)
        return found if found is not None and found.manifest.room == room else None

    async def _threaded(self, path: Path, offset: int, size: int) -> bytes | None:
        if self._waiting >= WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(_read, path, offset, size)
        finally:
            self._waiting -= 1


def _read(path: Path, offset: int, size: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except FileNotFoundError:
        return None
    return data if len(data) == size else None


async def ranged(replay: Replay, room: str, recording: str, name: str, part: str, asked: str | None) -> Response:
    """One of a recording's files. The first three are for who has shown a pass; the rest have names nobody guesses."""
    found = await replay.recording(room, recording)
    if found is None:
        return _not_found()
    folder, manifest = replay.folder / recording, found.manifest
    names = Names(manifest.secret)
    kept = {"Cache-Control": "private, max-age=60"}
    if name in ("index.m3u8", "audio.m3u8"):
        text = recording_playlist(found.segments, names, manifest.epoch_ms, audio=name == "audio.m3u8")
        return Response(text, 200, {"Cache-Control": "no-store"}, "application/vnd.apple.mpegurl")
    if name == "poster.webp":
        data = await replay.read(folder / name, 0, files.size_of(folder / name))
        return Response(data, 200, kept, "image/webp") if data else _not_found()
    if name == "recording.mp4":
        return await _movie(replay, folder, found, part, asked)
    meant = names.read(name)
    if meant is None:
        return _not_found()
    media = "audio/mp4" if meant.audio else "video/mp4"
    if meant.kind == "i":
        init = next((one for one in manifest.inits if one.number == meant.number), None)
        return Response(init.audio if meant.audio else init.data, 200, kept, media) if init else _not_found()
    stored = next((one for one in found.segments if one.msn == meant.number), None)
    content = await replay.segment(recording, stored, audio=meant.audio) if stored and meant.kind == "s" else None
    return Response(content, 200, kept, media) if content is not None else _not_found()


async def _movie(replay: Replay, folder: Path, found: files.Recording, part: str, asked: str | None) -> Response:
    """A file that is on disk but for its head, which is put together here."""
    if not part.isdecimal() or not 1 <= int(part) <= len(found.manifest.inits):
        return _not_found()
    movie = files.movie(found, int(part))
    if movie is None:
        return _not_found()
    size = len(movie.head) + movie.size
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=60",
        "ETag": f'"{folder.name}-{part}-{size}"',
    }
    first, last, status = 0, size - 1, 200
    if asked is not None and (match := _RANGE.fullmatch(asked)) and any(match.groups()):
        begin, end = match.groups()
        first = int(begin) if begin else max(0, size - int(end))
        last = min(last, int(end) if begin and end else last)
        if first > last:
            return Response(None, 416, headers | {"Content-Range": f"bytes */{size}"})
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    pieces = _pieces(replay, folder / movie.file, movie, first, last + 1)
    return StreamingResponse(pieces, status, headers, "video/mp4")


async def _pieces(replay: Replay, path: Path, movie: files.Movie, first: int, end: int) -> AsyncIterator[bytes]:
    head = len(movie.head)
    if first < head:
        yield movie.head[first:end]
    at = max(first, head)
    while at < end:
        size = min(PIECE, end - at)
        data = await replay.read(path, movie.offset + at - head, size)
        if data is None:
            raise FileNotFoundError  # deleted meanwhile: the connection breaks off, as its length was said
        yield data
        at += size


def _not_found() -> Response:
    return Response("No such recording.\n", 404, {"Cache-Control": "no-store"}, "text/plain")
