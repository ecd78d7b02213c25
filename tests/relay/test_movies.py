"""A recording's parts as MP4 files: each begins at its own 0, as players and ffprobe see it."""

import asyncio
import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relay.cutter import Cutter
from relay.disk import Disk, DiskLimits
from relay.feed_values import Over
from relay.files import Manifest, read_recording
from relay.movies import movie, read_movie
from relay.recording import Recorder
from relay.units import HZ
from tests.support.media import film, units_of

PLENTY = 1_000_000_000
PIECE = 1_009
"""Bytes: fragments and their heads are cut wherever it falls."""
LATER = 5 * HZ
SECONDS, PAUSE = 4, HZ // 2


async def record(folder: Path, films: list[Path]) -> None:
    """A stream that begins at LATER, and changes from one film to the next."""
    disk = Disk(folder, DiskLimits(PLENTY, PLENTY, 1))
    disk.start()
    manifest = Manifest("r1", "rec", "ann", 0, b"k" * 32, 0, record=True)
    done = asyncio.get_running_loop().create_future()
    recorder = Recorder(disk, "rec", manifest, 0, lambda told: None, pytest.fail, done.set_result)
    cutter = Cutter()
    try:
        for number, path in enumerate(films):
            at = LATER + number * (SECONDS * HZ + PAUSE)
            for unit in await asyncio.to_thread(units_of, path):
                for cut in cutter.unit(replace(unit, pts=unit.pts + at, dts=unit.dts + at)):
                    recorder.tell(cut)
        for cut in cutter.flush():
            recorder.tell(cut)
        recorder.tell(Over("stopped"))
        await asyncio.wait_for(done, 10)
    finally:
        await asyncio.to_thread(disk.close)


def written(folder: Path, part: int) -> Path:
    """As a browser saves it."""
    found = read_recording(folder / "rec")
    assert found is not None
    whole = movie(found, part)
    assert whole is not None
    pieces = [read_movie(folder / "rec", whole, at, min(PIECE, whole.size - at)) for at in range(0, whole.size, PIECE)]
    path = folder / f"part-{part}.mp4"
    path.write_bytes(b"".join([whole.head, *filter(None, pieces)]))
    assert path.stat().st_size == len(whole.head) + whole.size
    return path


def probed(path: Path, *options: str) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(path)]
    told = subprocess.run(command, check=True, capture_output=True)
    assert not told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize(("audio", "video"), [(True, True), (False, True), (True, False)])
async def test_each_part_begins_at_0_and_says_how_long_it_is(tmp_path: Path, audio: bool, video: bool) -> None:
    """Though fragments have the stream's times, and it begins later."""
    films = [
        film(tmp_path / f"{size}.mp4", SECONDS, size=size, audio=audio, video=video, hertz=hertz)
        for size, hertz in (("320x180", 48_000), ("640x360", 44_100))
    ]
    await record(tmp_path / "media", films)
    for part in (1, 2):
        path = written(tmp_path / "media", part)
        told = probed(path, "-show_format", "-show_streams", "-show_packets")
        assert len(told["streams"]) == audio + video
        assert abs(float(told["format"]["duration"]) - SECONDS) < 0.2
        for stream in told["streams"]:
            packets = [one for one in told["packets"] if one["stream_index"] == stream["index"]]
            assert 0 <= min(float(one["pts_time"]) for one in packets) < 0.1, stream["codec_type"]
            assert SECONDS - 0.2 < max(float(one["pts_time"]) for one in packets) < SECONDS + 0.1
            assert all(float(a["dts_time"]) < float(b["dts_time"]) for a, b in pairwise(packets))


async def test_players_seek_in_a_later_part_by_its_index(tmp_path: Path) -> None:
    films = [film(tmp_path / f"{size}.mp4", SECONDS, size=size, gop=15) for size in ("320x180", "640x360")]
    await record(tmp_path / "media", films)
    path = written(tmp_path / "media", 2)
    told = probed(path, "-read_intervals", "3%+0.5", "-select_streams", "v", "-show_packets")
    first = float(told["packets"][0]["pts_time"])
    assert 2 <= first < 2.2
