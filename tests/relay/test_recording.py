"""What is on disk of a stream that is not recorded: its window, and no more; and a folder that is taken away."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from relay.disk import Disk, DiskLimits
from relay.feed_values import Over, Poster, Stored, Told
from relay.files import Manifest, read_recording
from relay.movies import movie
from relay.parts_values import Init, Part, SegmentEnded
from relay.ports import Recorded
from relay.recording import BEGINNING, MOST_INITS, Recorder
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
            recorder.tell(Part(msn, 0, start, SEGMENT, True, 1, False, 0, False, b"segment %2d" % msn))
            recorder.tell(SegmentEnded(msn, start, SEGMENT))
        async with asyncio.timeout(10):
            while len(told) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        found = read_recording(tmp_path / "s1")
        assert found is not None
        kept = [one.msn for one in found.segments]
        assert kept == list(range(kept[0], 40))
        for one in found.segments:
            data = (tmp_path / "s1" / one.file).read_bytes()
            assert data[one.offset : one.offset + one.size] == b"segment %2d" % one.msn
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
    assert reasons == ["The recording has stopped: No such file or directory."]
    assert [one.file for one in told if isinstance(one, Stored)] == ["", ""]


def test_what_others_write_and_delete_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.disk.MEASURE_SECONDS", 0.0)
    disk = Disk(tmp_path, DiskLimits(PLENTY, 1_000, 1))
    recording = tmp_path / "theirs"
    recording.mkdir()
    (recording / "1.0.mp4").write_bytes(bytes(950))
    assert "media_megabytes" in disk.room_for(0, 100)
    (recording / "1.0.mp4").unlink()
    assert disk.room_for(0, 100) == ""


async def recorded(folder: Path, inits: list[bytes]) -> tuple[list[Stored], list[str], list[Recorded]]:
    """A stream with a segment after each of these init segments: what edges are told, and how it ends."""
    disk = Disk(folder, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    told: list[Told] = []
    reasons: list[str] = []
    finished: list[Recorded] = []
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=True)
    recorder = Recorder(disk, "s1", manifest, 0, told.append, reasons.append, finished.append)
    for msn, init in enumerate(inits):
        recorder.tell(Init(msn + 1, init, b"", "avc1", 320, 180))
        recorder.tell(Part(msn, 0, msn * SEGMENT, SEGMENT, True, msn + 1, False, 0, False, b"segment"))
        recorder.tell(SegmentEnded(msn, msn * SEGMENT, SEGMENT))
    recorder.tell(Over("stopped"))
    await asyncio.to_thread(disk.close, 30.0)
    await asyncio.sleep(0)
    return [one for one in told if isinstance(one, Stored)], reasons, finished


async def test_settings_that_come_back_are_written_once(tmp_path: Path) -> None:
    told, reasons, finished = await recorded(tmp_path, [b"portrait", b"landscape"] * 50)
    found = read_recording(tmp_path / "s1")
    assert found is not None
    assert reasons == []
    assert [one.data for one in found.manifest.inits] == [b"portrait", b"landscape"]
    assert [one.init for one in found.segments] == [1, 2] * 50
    for one in found.segments:
        data = (tmp_path / "s1" / one.file).read_bytes()
        assert data.startswith(found.manifest.inits[one.init - 1].data)
        assert data[one.offset : one.offset + one.size] == b"segment"
    assert [one.init for one in told] == list(range(1, 101)), "edges know it by the number they were given"
    assert finished[0].parts == 100, "an MP4 file for each stretch of the same settings"


async def test_settings_that_change_without_end_end_the_recording(tmp_path: Path) -> None:
    told, reasons, finished = await recorded(tmp_path, [b"init %d" % number for number in range(100)])
    found = read_recording(tmp_path / "s1")
    assert found is not None
    assert len(found.manifest.inits) == len(found.segments) == MOST_INITS
    assert reasons == ["The recording has stopped: the encoder has changed its settings more than 64 times."]
    assert [bool(one.file) for one in told] == [True] * MOST_INITS + [False] * (100 - MOST_INITS)
    assert finished[0].parts == MOST_INITS


async def test_posters_wait_for_the_disk_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.disk.MOST_WAITING", BEGINNING + 100)
    disk = Disk(tmp_path, DiskLimits(PLENTY, PLENTY, 1))
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=True)
    recorder = Recorder(disk, "s1", manifest, 0, lambda _: None, pytest.fail, lambda _: None)
    for _ in range(5):
        recorder.tell(Poster(bytes(40)))
    assert (disk.waiting, disk.dropped) == (BEGINNING + 80, 3)


async def test_streams_that_begin_while_the_disk_is_stuck_wait_within_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.disk.MOST_WAITING", 3 * BEGINNING + 100)
    disk = Disk(tmp_path, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    stuck = threading.Event()

    def stall() -> None:
        stuck.wait()

    disk.do(stall)
    told: list[Told] = []
    reasons: list[str] = []
    for number in range(5):
        manifest = Manifest("r1", f"s{number}", "ann", 0, b"k" * 32, 0, record=True)
        recorder = Recorder(disk, f"s{number}", manifest, 0, told.append, reasons.append, lambda _: None)
        recorder.tell(Init(1, b"init", b"", "avc1", 320, 180))
        recorder.tell(Part(0, 0, 0, SEGMENT, True, 1, False, 0, False, b"segment"))
        recorder.tell(SegmentEnded(0, 0, SEGMENT))
        recorder.tell(Poster(b"poster"))
        recorder.tell(Over("stopped"))
    await asyncio.sleep(0)
    assert reasons == ["The recording has stopped: the disk does not keep up."] * 2
    assert [one.file for one in told if isinstance(one, Stored)] == ["", ""], "edges know what is never on disk"
    stuck.set()
    await asyncio.to_thread(disk.close, 30.0)
    assert [(tmp_path / f"s{number}").exists() for number in range(5)] == [True] * 3 + [False] * 2


async def test_what_comes_after_a_gap_is_in_a_file_of_its_own_and_the_creator_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is stuck for a while, and has room for one more segment."""
    monkeypatch.setattr("relay.disk.MOST_WAITING", BEGINNING + 10)
    disk = Disk(tmp_path, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    told: list[Told] = []
    messages: list[str] = []
    finished: list[Recorded] = []
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=True)
    recorder = Recorder(disk, "s1", manifest, 0, told.append, messages.append, finished.append)
    recorder.tell(Init(1, b"init", b"", "avc1", 320, 180))
    stuck = threading.Event()

    def stall() -> None:
        stuck.wait()

    def segment(msn: int) -> None:
        recorder.tell(Part(msn, 0, msn * SEGMENT, SEGMENT, True, 1, False, 0, False, b"segment"))
        recorder.tell(SegmentEnded(msn, msn * SEGMENT, SEGMENT))

    async def written(count: int) -> None:
        async with asyncio.timeout(10):
            while len(told) < count or disk.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    segment(0)
    await written(1)
    disk.do(stall)
    monkeypatch.setattr("relay.disk.MOST_WAITING", 10)
    for msn in range(1, 4):
        segment(msn)
    stuck.set()
    await written(4)
    segment(4)
    recorder.tell(Over("stopped"))
    await asyncio.to_thread(disk.close, 30.0)
    await asyncio.sleep(0)
    found = read_recording(tmp_path / "s1")
    assert found is not None
    assert [(one.msn, one.file) for one in found.segments] == [(0, "1.0.mp4"), (1, "1.0.mp4"), (4, "1.1.mp4")]
    assert messages == ["The disk does not keep up: the recording has a gap."]
    assert disk.dropped == 2
    assert finished[0].parts == 2


async def test_every_file_of_a_recording_is_in_an_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the encoder comes back to settings that it had before."""
    monkeypatch.setattr("relay.cmaf.with_duration", lambda data, duration: data)
    disk = Disk(tmp_path, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    done = asyncio.get_running_loop().create_future()
    manifest = Manifest("r1", "s1", "ann", 0, b"k" * 32, 0, record=True)
    recorder = Recorder(disk, "s1", manifest, 0, lambda told: None, pytest.fail, done.set_result)
    try:
        for number, init in enumerate((b"one", b"other", b"one"), 1):
            recorder.tell(Init(number, init, b"", "avc1", 320, 180))
            start = number * SEGMENT
            recorder.tell(Part(number, 0, start, SEGMENT, True, number, True, number, False, bytes([number]) * 9))
            recorder.tell(SegmentEnded(number, start, SEGMENT))
        recorder.tell(Over("stopped"))
        recorded = await asyncio.wait_for(done, 10)
        found = read_recording(tmp_path / "s1")
        assert found is not None
        movies = [movie(found, part) for part in range(1, recorded.parts + 1)]
        assert [one.segments[0].file for one in movies if one is not None] == list(
            dict.fromkeys(s.file for s in found.segments)
        )
        assert len(movies) == 3
    finally:
        await asyncio.to_thread(disk.close)
