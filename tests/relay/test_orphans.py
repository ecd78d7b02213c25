"""What a media process has left is found among all that there is, and finished."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from relay import orphans
from relay.disk import Disk, DiskLimits
from relay.feed_values import Stored
from relay.files import MANIFEST, SEGMENTS, Manifest, line_of, read_manifest, write_manifest
from relay.orphans import finish_orphans, folders_of
from relay.parts_values import Init
from relay.ports import Recorded

INIT = Init(1, b"init", b"", "avc1", 320, 180)
PLENTY = 1_000_000_000


def left(folder: Path, process: int = 0, *, record: bool = True, finished: bool = False) -> None:
    """A stream with a segment."""
    folder.mkdir()
    manifest = Manifest("r1", folder.name, "ann", 0, b"k" * 32, process, record, inits=(INIT,))
    write_manifest(folder, replace(manifest, state="finished") if finished else manifest)
    (folder / "1.0.mp4").write_bytes(b"init" + b"segment" + b"torn")
    (folder / SEGMENTS).write_bytes(line_of(Stored(0, 0, 90_000, 1, False, 0, "1.0.mp4", 4, 7)) + b"{")


async def found(media: Path, count: int) -> list[Recorded]:
    """As many recordings as are waited for, and all that comes meanwhile."""
    disk, recorded = Disk(media, DiskLimits(PLENTY, PLENTY, 1)), list[Recorded]()
    disk.start()
    try:
        await finish_orphans(disk, folders_of(disk), 0, recorded.append)
    finally:
        await asyncio.to_thread(disk.close)
    async with asyncio.timeout(10):
        while len(recorded) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return recorded


async def test_what_was_not_finished_becomes_a_recording_or_goes(tmp_path: Path) -> None:
    left(tmp_path / "a")
    left(tmp_path / "b", record=False)
    left(tmp_path / "c", process=1)
    (tmp_path / "d").mkdir()
    (recorded,) = await found(tmp_path, 1)
    assert (recorded.folder, recorded.length_ms, recorded.bytes) == ("a", 1_000, 7)
    assert (tmp_path / "a" / "1.0.mp4").read_bytes() == b"initsegment"
    assert not (tmp_path / "b").exists()
    manifest = read_manifest(tmp_path / "c")
    assert manifest is not None
    assert manifest.state == "live", "another process's"


async def test_of_recordings_the_manifest_alone_is_read_and_none_that_cannot_be_hides_another(tmp_path: Path) -> None:
    """However long they are: their indexes are not opened."""
    left(tmp_path / "a", finished=True)
    (tmp_path / "a" / SEGMENTS).unlink()
    (tmp_path / "a" / SEGMENTS).mkdir()
    (tmp_path / "b" / MANIFEST).mkdir(parents=True)
    left(tmp_path / "c")
    assert [one.folder for one in await found(tmp_path, 1)] == ["c"]


async def test_there_may_be_very_many(tmp_path: Path) -> None:
    for number in range(2 * orphans.TOGETHER + 1):
        (tmp_path / f"{number:04}").mkdir()
    left(tmp_path / "z")
    assert [one.folder for one in await found(tmp_path, 1)] == ["z"]
