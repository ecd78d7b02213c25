import asyncio
import fcntl
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from realtime.ports import Unavailable
from realtime.sinks.jsonl import JsonLinesSink
from rooms.records import Record

DAY = 86_400_000
NOON = 1_795_348_800_000 - 1_795_348_800_000 % DAY + DAY // 2
"""In the middle of 2026-11-22, UTC."""


def record(pos: int, at: int = NOON) -> Record:
    return Record(id=f"r/{pos}/0", kind="message", room="r", pos=pos, at=at, user="ann")


def positions(path: Path) -> list[int]:
    return [msgspec.json.decode(line)["pos"] for line in path.read_bytes().splitlines()]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Every file of this process ends at `size` bytes: what a full disk does, a partial write and then an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


async def test_each_record_goes_to_the_file_of_its_own_day(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    last = NOON + DAY // 2 - 1
    await sink.write([record(1), record(2, last), record(3, last + 1), record(4)])
    await sink.close()
    assert positions(tmp_path / "records-2026-11-22.jsonl") == [1, 2, 4]
    assert positions(tmp_path / "records-2026-11-23.jsonl") == [3]


async def test_one_line_is_one_json_object_without_what_is_empty(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    await sink.write([record(1)])
    await sink.close()
    path = tmp_path / "records-2026-11-22.jsonl"
    line = f'{{"id":"r/1/0","kind":"message","room":"r","pos":1,"at":{NOON},"user":"ann"}}\n'
    assert path.read_text() == line


@pytest.mark.parametrize("torn", [b"", b'{"id":"r/2', b"x" * 200_000, b"\x00" * 4_096])
async def test_a_torn_last_line_is_removed(tmp_path: Path, torn: bytes) -> None:
    sink = JsonLinesSink(tmp_path)
    await sink.write([record(1)])
    path = tmp_path / "records-2026-11-22.jsonl"
    with path.open("ab") as file:
        file.write(torn)
    await sink.write([record(2)])
    await sink.close()
    assert positions(path) == [1, 2]


async def test_a_file_that_is_one_torn_line_starts_afresh(tmp_path: Path) -> None:
    (tmp_path / "records-2026-11-22.jsonl").write_bytes(b'{"id"')
    sink = JsonLinesSink(tmp_path)
    await sink.write([record(2)])
    await sink.close()
    assert positions(tmp_path / "records-2026-11-22.jsonl") == [2]


async def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    await sink.write([record(1)])
    path = tmp_path / "records-2026-11-22.jsonl"
    before = path.read_bytes()
    more = [record(0, NOON - DAY), *(record(pos) for pos in range(2, 50))]
    with file_size_limit(len(before) * 3 + 10), pytest.raises(Unavailable, match="records cannot be written"):
        await sink.write(more)
    assert path.read_bytes() == before
    assert (tmp_path / "records-2026-11-21.jsonl").read_bytes() == b""
    await sink.write(more)
    await sink.close()
    assert positions(path) == list(range(1, 50))
    assert positions(tmp_path / "records-2026-11-21.jsonl") == [0]


async def test_writes_at_once_keep_their_order(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    await asyncio.gather(*(sink.write([record(2 * n), record(2 * n + 1)]) for n in range(20)))
    await sink.close()
    assert positions(tmp_path / "records-2026-11-22.jsonl") == list(range(40))


async def test_closing_waits_for_what_is_being_written(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    writing = asyncio.ensure_future(sink.write([record(pos) for pos in range(2_000)]))
    await asyncio.sleep(0)
    await sink.close()
    assert len(positions(tmp_path / "records-2026-11-22.jsonl")) == 2_000
    await writing


async def test_who_shares_the_folder_waits(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(Unavailable, match="another process is writing there"):
        await sink.write([record(1)])
    os.close(other)
    await sink.write([record(2)])
    await sink.close()
    assert positions(tmp_path / "records-2026-11-22.jsonl") == [2]
