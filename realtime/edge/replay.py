"""What is on disk, read in threads: segments from before those in memory, and recordings."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

from msgspec import Struct
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from relay import cmaf, files, movies
from relay.feed_values import Stored
from relay.hls.media import recording_playlist
from relay.hls.names import Names
from relay.threads import DaemonExecutor

AT_ONCE = 16
"""Reads under way, in threads of their own: a disk that is stuck keeps nothing else waiting."""
WAITING = 256
"""Reads that are under way or wait; beyond them requests are refused."""
MOST_SEGMENTS = 200_000
"""Of recordings that were asked for lately: what is known of so many is kept."""
PIECE = 256 * 1024
"""Bytes of a film that are read at a time, and of any content that are sent."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
P = ParamSpec("P")
T = TypeVar("T")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PART = re.compile(r"[0-9]{1,6}")


class TooBusy(Exception):
    """The disk does not keep up."""


class Replay:
    """`folder`: `[relay] media_dir`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._waiting = 0
        self._threads = DaemonExecutor(AT_ONCE, "replay")
        self._known: OrderedDict[str, tuple[tuple[tuple[int, int], ...], files.Recording]] = OrderedDict()
        self._lock = Lock()

    async def segment(self, folder: str, stored: Stored, *, audio: bool) -> bytes | None:
        """None where it is gone. Raises TooBusy."""
        data = await self.read(self.folder / folder / stored.file, stored.offset, stored.size)
        return cmaf.audio_of(data) if audio and data is not None else data

    async def read(self, path: Path, offset: int, size: int | None = None) -> bytes | None:
        """To its end where there is no `size`. None where that much is not there. Raises TooBusy."""
        return await self._threaded(_read, path, offset, size)

    async def film(self, folder: Path, movie: movies.Movie, at: int, size: int) -> bytes | None:
        """As `read_movie`. Raises TooBusy."""
        return await self._threaded(movies.read_movie, folder, movie, at, size)

    async def recording(self, room: str, recording: str) -> files.Recording | None:
        """None where there is none of this room. Raises TooBusy."""
        if not _ID.fullmatch(recording):
            return None
        found = await self._threaded(self._recording, recording)
        return found if found is not None and found.manifest.room == room else None

    def _recording(self, name: str) -> files.Recording | None:
        """In a thread. What was read before holds for as long as its files are the same."""
        folder = self.folder / name
        stamp = tuple(_stamp(folder / file) for file in (files.MANIFEST, files.SEGMENTS))
        with self._lock:
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                self._known.move_to_end(name)
                return known[1]
        found = files.read_recording(folder)
        with self._lock:
            self._known.pop(name, None)
            if found is not None:
                self._known[name] = stamp, found
            while len(self._known) > 1 and sum(len(one.segments) for _, one in self._known.values()) > MOST_SEGMENTS:
                self._known.popitem(last=False)
        return found

    async def _threaded(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._waiting >= WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))
        finally:
            self._waiting -= 1


def _stamp(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return told.st_mtime_ns, told.st_size


def _read(path: Path, offset: int, size: int | None) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except FileNotFoundError:
        return None
    return data if size is None or len(data) == size else None


class Asked(Struct, frozen=True):
    """A request for one of a recording's files, by who has shown `token`. `part`: of an MP4, from 1; `range`: the
    header.
    """

    room: str
    recording: str
    name: str
    token: str
    part: str
    range: str | None


async def replayed(replay: Replay, asked: Asked) -> Response:
    """Raises TooBusy."""
    found = await replay.recording(asked.room, asked.recording)
    if found is None:
        return _not_found()
    folder, manifest, name = replay.folder / asked.recording, found.manifest, asked.name
    names = Names(manifest.secret)
    kept = {"Cache-Control": "private, max-age=60"}
    if name in ("index.m3u8", "audio.m3u8"):
        audio, query = name == "audio.m3u8", f"?pass={asked.token}"
        text = recording_playlist(found.segments, names, manifest.epoch_ms, audio=audio, query=query)
        return Response(text, 200, {"Cache-Control": "no-store"}, "application/vnd.apple.mpegurl")
    if name == "poster.webp":
        data = await replay.read(folder / name, 0)
        return Response(data, 200, kept, "image/webp") if data else _not_found()
    if name == "recording.mp4":
        return await _movie(replay, folder, found, asked)
    meant = names.read(name)
    if meant is None:
        return _not_found()
    media = "audio/mp4" if meant.audio else "video/mp4"
    if meant.kind == "i":
        init = next((one for one in manifest.inits if one.number == meant.number), None)
        return Response(init.audio if meant.audio else init.data, 200, kept, media) if init else _not_found()
    stored = next((one for one in found.segments if one.msn == meant.number), None)
    content = await replay.segment(asked.recording, stored, audio=meant.audio) if stored and meant.kind == "s" else None
    if content is None:
        return _not_found()
    return InPieces(content, 200, kept, media)


class InPieces(Response):
    """Of which the next is sent when the client has taken these: until then the response is not over. A
    StreamingResponse has two tasks to find out that a client has gone, which a part of a stream is too small for.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for at in range(0, len(self.body), PIECE):
            await send({"type": "http.response.body", "body": self.body[at : at + PIECE], "more_body": True})
        await send({"type": "http.response.body"})


async def _movie(replay: Replay, folder: Path, found: files.Recording, asked: Asked) -> Response:
    """A file that is on disk but for its head, which is put together here."""
    part = asked.part
    movie = movies.movie(found, int(part)) if _PART.fullmatch(part) else None
    if movie is None:
        return _not_found()
    size = len(movie.head) + movie.size
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=60",
        "Content-Disposition": f'attachment; filename="{_film_name(found, part)}"',
        "ETag": f'"{folder.name}-{part}-{size}"',
    }
    first, last, status = 0, size - 1, 200
    if asked.range is not None and (match := _RANGE.fullmatch(asked.range)) and any(match.groups()):
        begin, end = match.groups()
        first = int(begin) if begin else max(0, size - int(end))
        last = min(last, int(end) if begin and end else last)
        if first > last:
            return Response(None, 416, headers | {"Content-Range": f"bytes */{size}"})
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    pieces = _pieces(replay, folder, movie, first, last + 1)
    return StreamingResponse(pieces, status, headers, "video/mp4")


def _film_name(found: files.Recording, part: str) -> str:
    """What it is saved as: by when the stream began, in UTC."""
    began = datetime.fromtimestamp(found.manifest.epoch_ms / 1_000, UTC)
    return f"{began:%Y-%m-%dT%H-%M-%SZ}{f'-{part}' if len(found.parts) > 1 else ''}.mp4"


async def _pieces(replay: Replay, folder: Path, movie: movies.Movie, first: int, end: int) -> AsyncIterator[bytes]:
    head = len(movie.head)
    if first < head:
        yield movie.head[first:end]
    at = max(first, head)
    while at < end:
        size = min(PIECE, end - at)
        data = await replay.film(folder, movie, at - head, size)
        if data is None:
            raise FileNotFoundError  # deleted meanwhile: the connection breaks off, as its length was said
        yield data
        at += size


def _not_found() -> Response:
    return Response("No such recording.\n", 404, {"Cache-Control": "no-store"}, "text/plain")
