"""What every RecordSink does, run on each adapter. Each says how to read back what it holds and how to break it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from realtime.ports import RecordSink, Unavailable
from realtime.sinks.jsonl import JsonLinesSink
from rooms.records import Record


class Adapter(NamedTuple):
    open: Callable[[], RecordSink]
    stored: Callable[[], list[Record]]
    broken: Callable[[], AbstractContextManager[None]]


def jsonl(folder: Path) -> Adapter:
    directory = folder / "deep" / "records"

    def stored() -> list[Record]:
        lines = b"".join(path.read_bytes() for path in sorted(directory.glob("*.jsonl"))).splitlines()
        return [msgspec.json.decode(line, type=Record) for line in lines]

    @contextmanager
    def broken() -> Iterator[None]:
        """A file stands where the directory should be."""
        aside = directory.rename(directory.with_name("aside")) if directory.exists() else None
        directory.parent.mkdir(exist_ok=True)
        directory.touch()
        yield
        directory.unlink()
        if aside:
            aside.rename(directory)

    return Adapter(lambda: JsonLinesSink(directory), stored, broken)


ADAPTERS = {"jsonl": jsonl}


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    return ADAPTERS[request.param](tmp_path)


def records(first: int, last: int) -> list[Record]:
    return [
        Record(id=f"r/{pos}/0", kind="react", room="r", pos=pos, at=1_795_367_182_123 + pos, user="ann", what="👍\n")
        for pos in range(first, last + 1)
    ]


async def test_what_was_written_is_there_in_order(adapter: Adapter) -> None:
    sink = adapter.open()
    await sink.write(records(1, 3))
    await sink.write(records(4, 4))
    assert adapter.stored() == records(1, 4)
    await sink.close()


async def test_goes_on_after_a_restart(adapter: Adapter) -> None:
    for n in (1, 2):
        sink = adapter.open()
        await sink.write(records(n, n))
        await sink.close()
    assert adapter.stored() == records(1, 2)


async def test_raises_unavailable_and_works_again_without_restart(adapter: Adapter) -> None:
    sink = adapter.open()
    await sink.write(records(1, 1))
    with adapter.broken(), pytest.raises(Unavailable):
        await sink.write(records(2, 3))
    assert adapter.stored() == records(1, 1)
    await sink.write(records(2, 3))
    assert adapter.stored() == records(1, 3)
    await sink.close()


async def test_writing_nothing_is_fine(adapter: Adapter) -> None:
    sink = adapter.open()
    await sink.write([])
    assert adapter.stored() == []
    await sink.close()
