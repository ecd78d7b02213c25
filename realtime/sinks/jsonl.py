"""Interaction records as JSON Lines, one file a UTC day."""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import msgspec

from realtime.ports import Unavailable
from rooms.records import Record

_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_BLOCK = 65_536


class JsonLinesSink:
    """The RecordSink that appends to `records-YYYY-MM-DD.jsonl` in `directory`, by the day of each record's own `at`.

    Files are written and fsynced by one thread, in the order of the calls. Of a `write` that raised, nothing stays;
    a line that a crash tore is removed before the next one is written. The directory is made when first needed.
    Processes may share one: each `write` holds a lock of it (flock), and raises Unavailable while another does.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")

    async def write(self, records: Sequence[Record]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, tuple(records))

    async def close(self) -> None:
        """Returns when what was being written is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _write(self, records: Sequence[Record]) -> None:
        try:
            with _Files(self._directory) as files:
                for day, lines in _by_day(records):
                    files.append(f"records-{day}.jsonl", lines)
                files.sync()
        except OSError as error:
            raise Unavailable(f"records cannot be written to {self._directory}: {error.strerror}") from error


def _by_day(records: Sequence[Record]) -> Iterator[tuple[date, bytes]]:
    for day, same_day in groupby(records, key=lambda record: record.at // _DAY_MS):
        yield _EPOCH + timedelta(days=day), b"".join(msgspec.json.encode(record) + b"\n" for record in same_day)


class _Files:
    """The files of one write, in a directory locked meanwhile. Leaving by an exception takes back what was appended."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._open: dict[str, tuple[int, int]] = {}
        """File name → descriptor, and size before this write."""
        self._created = False
        self._lock = -1

    def __enter__(self) -> "_Files":
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            reason = "another process is writing there" if isinstance(error, BlockingIOError) else error.strerror
            raise OSError(error.errno, reason) from error
        return self

    def append(self, name: str, data: bytes) -> None:
        if name not in self._open:
            path = self._directory / name
            self._created = self._created or not path.exists()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                self._open[name] = descriptor, _repair(descriptor)
            except OSError:
                os.close(descriptor)
                raise
        descriptor, _ = self._open[name]
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self) -> None:
        for descriptor, _ in self._open.values():
            os.fsync(descriptor)
        if self._created:
            os.fsync(self._lock)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is not None:
                for descriptor, size in self._open.values():
                    os.ftruncate(descriptor, size)
        finally:
            for descriptor, _ in self._open.values():
                os.close(descriptor)
            os.close(self._lock)


def _repair(descriptor: int) -> int:
    """Truncates the file to its last whole line and returns its size."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
