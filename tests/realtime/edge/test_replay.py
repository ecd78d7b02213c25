"""The files of a recording, as they are given out."""

from pathlib import Path

import pytest
from starlette.responses import Response, StreamingResponse

from realtime.edge.replay import Asked, Replay, replayed
from relay import cmaf
from relay.aac import write_specific
from relay.feed_values import Stored
from relay.files import Manifest, read_recording, write_index, write_manifest
from relay.parts_values import Init
from relay.units import HZ, AudioConfig

BEGAN = 1_795_367_182_000
SEGMENT = 2 * HZ


def kept(folder: Path, *, parts: tuple[int, ...]) -> Replay:
    """A recording with three init segments, of which these have segments."""
    (folder / "rec").mkdir()
    inits = []
    for number, channels in ((1, 1), (2, 2), (3, 1)):
        init = cmaf.init_segment(None, AudioConfig("aac", 48_000, channels, write_specific(48_000, channels)))
        inits.append(Init(number, init, init, "mp4a.40.2", 0, 0))
    manifest = Manifest("r1", "s", "ann", BEGAN, b"k" * 32, 0, record=True, state="finished", inits=tuple(inits))
    write_manifest(folder / "rec", manifest)
    stored = []
    for msn, number in enumerate(parts):
        (folder / "rec" / f"{number}.mp4").write_bytes(b"of part %d" % number)
        stored.append(Stored(msn, msn * SEGMENT, SEGMENT, number, msn > 0, msn, f"{number}.mp4", 0, 9))
    write_index(folder / "rec", stored)
    return Replay(folder)


async def film(replay: Replay, part: str) -> Response:
    return await replayed(replay, Asked("r1", "rec", "recording.mp4", "pass", part, "bytes=-9"))


async def test_parts_are_those_that_have_something_in_them(tmp_path: Path) -> None:
    replay = kept(tmp_path, parts=(1, 3))
    found = read_recording(tmp_path / "rec")
    assert found is not None
    assert found.recorded("rec").parts == 2
    for part, name, content in (
        ("1", "2026-11-22T17-06-22Z-1.mp4", b"of part 1"),
        ("2", "2026-11-22T17-06-22Z-2.mp4", b"of part 3"),
    ):
        answer = await film(replay, part)
        assert answer.status_code == 206
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert isinstance(answer, StreamingResponse)
        assert b"".join([bytes(piece) async for piece in answer.body_iterator]) == content  # type: ignore[arg-type]  # never text here


async def test_a_recording_of_one_part_is_named_by_its_time_alone(tmp_path: Path) -> None:
    answer = await film(kept(tmp_path, parts=(2,)), "1")
    assert answer.headers["content-disposition"] == 'attachment; filename="2026-11-22T17-06-22Z.mp4"'


@pytest.mark.parametrize("part", ["0", "3", "-1", "1.0", "", "²", "9" * 5_000])
async def test_what_is_no_part_is_not_found(tmp_path: Path, part: str) -> None:
    assert (await film(kept(tmp_path, parts=(1, 3)), part)).status_code == 404
