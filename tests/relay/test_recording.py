"""What is on disk of a stream that is not recorded: its window, and no more; and a folder that is taken away."""

import asyncio
import shutil
from pathlib import Path

import pytest

from relay.feed_values import Over, Stored
from relay.files import Manifest, read_recording
from relay.parts_values import Init, Part, SegmentEnded
from relay.recording import Disk, DiskLimits, Recorder
from relay.units import HZ

PLENTY = 1_000_000_000
SEGMENT = 2 * HZ


async def test_files_and_index_of_a_window_do_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.recording.DVR_FILE_SEGMENTS", 3)
    disk = Disk(tmp_path, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=False)
    told: list[object] = []
    recorder = Recorder(
        disk, "s1", manifest, 10 * HZ, told.append, pytest.fail, lambda recorded: pytest.fail(recorded.folder)
    )
    try:
        recorder.tell(Init(1, b"init", b"", "avc1", 320, 180))
        for msn in range(40):
            start = msn * SEGMENT
            recorder.tell(Part(msn, 0, start, SEGMENT, True, 1, False, 0, False, b"segment"))
            recorder.tell(SegmentEnded(msn, start, SEGMENT))
        async with asyncio.timeout(10):
            while len(told) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        found = read_recording(tmp_path / "s1")
        assert found is not None
        kept = [one.msn for one in found.segments]
        assert kept == list(range(kept[0], 40))
        assert 5 <= len(kept) <= 5 + 2 * 3
        assert {one.file for one in found.segments} == {path.name for path in (tmp_path / "s1").glob("*.mp4")}
        recorder.tell(Over("stopped"))
    finally:
        await asyncio.to_thread(disk.close)
    assert not (tmp_path / "s1").exists()


async def test_a_folder_that_is_taken_away_ends_the_recording_with_a_reason(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "media", DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=True)
    told: list[object] = []
    reasons: list[str] = []
    recorder = Recorder(
        disk, "s1", manifest, 0, told.append, reasons.append, lambda recorded: pytest.fail(str(recorded))
    )
    recorder.tell(Init(1, b"init", b"", "avc1", 320, 180))
    disk.do(lambda: shutil.rmtree(disk.media))
    for msn in range(2):
        recorder.tell(Part(msn, 0, msn * SEGMENT, SEGMENT, True, 1, False, 0, False, b"segment"))
        recorder.tell(SegmentEnded(msn, msn * SEGMENT, SEGMENT))
    recorder.tell(Over("stopped"))
    await asyncio.to_thread(disk.close)
    await asyncio.sleep(0)
    assert reasons == ["No such file or directory"]
    assert [one.file for one in told if isinstance(one, Stored)] == ["", ""]


def test_what_others_write_and_delete_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.recording.MEASURE_SECONDS", 0.0)
    disk = Disk(tmp_path, DiskLimits(PLENTY, 1_000, 1))
    recording = tmp_path / "theirs"
    recording.mkdir()
    (recording / "1.0.mp4").write_bytes(bytes(950))
    assert "media_megabytes" in disk.room_for(0, 100)
    (recording / "1.0.mp4").unlink()
    assert disk.room_for(0, 100) == ""
