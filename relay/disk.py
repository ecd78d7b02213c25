"""The disk that streams are written to: one thread, and a bound of what waits for it.

A disk that is slow or stuck costs what finds no place (`Disk.dropped`), never time of the event loop.
"""

import queue
import threading
import time
from collections.abc import Callable
from os import statvfs
from pathlib import Path

import structlog
from msgspec import Struct

from relay import files

log = structlog.get_logger("relay.disk")

MOST_WAITING = 64 * 1024 * 1024
"""Bytes of segments that wait for the disk, of all streams."""
MEASURE_SECONDS = 60.0
MEGABYTE = 1_000_000


class DiskLimits(Struct, frozen=True):
    """In bytes: of one stream, of all in the folder, and what stays free."""

    stream: int
    media: int
    free: int


class Disk:
    """One thread for all streams of the process."""

    def __init__(self, media: Path, limits: DiskLimits):
        self.media, self.limits = media, limits
        self.waiting = 0
        self.dropped = 0
        """Segments, posters and whole recordings that were not written, as too much waited."""
        self.failed = 0
        """Recordings ended by the disk or a limit."""
        self.used = 0
        """Bytes in the folder, as of `MEASURE_SECONDS` ago, and what was written here since."""
        self._measured = 0.0
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.do(self._begin)

    def close(self, seconds: float = 5.0) -> None:
        """Waits so long for what waits. What is not written by then is finished at the next start."""
        self._jobs.put(None)
        self._thread.join(seconds)

    def do(self, job: Callable[[], None], size: int = 0) -> bool:
        """False: too much waits already. Jobs without a size are always taken: a recorder has MOST_INITS and
        a few of them.
        """
        with self._lock:
            if size and self.waiting + size > MOST_WAITING:
                self.dropped += 1
                return False
            self.waiting += size
        self._jobs.put((job, size))
        return True

    def room_for(self, stream: int, size: int) -> str:
        """Why there is none; empty where there is. In the thread."""
        limits = self.limits
        if time.monotonic() - self._measured > MEASURE_SECONDS:
            self._measure()
        if stream + size > limits.stream:
            return "this stream's limit is reached ([relay] stream_megabytes)"
        if self.used + size > limits.media:
            return "the limit of all recordings is reached ([relay] media_megabytes)"
        place = statvfs(self.media)
        if place.f_bavail * place.f_frsize - size < limits.free:
            return "the disk is nearly full ([relay] free_megabytes)"
        return ""

    def _begin(self) -> None:
        self.media.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._measure()

    def _measure(self) -> None:
        """What other processes write, and gateways delete, is in it too."""
        self._measured = time.monotonic()
        self.used = files.bytes_in(self.media)

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, size = entry
            try:
                job()
            except Exception:
                log.exception("recording_failed")
                self.failed += 1
            with self._lock:
                self.waiting -= size
