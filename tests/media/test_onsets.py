"""That what holds flash and beep together sees where they are apart, or missing."""

import subprocess
from pathlib import Path

import pytest

from tests.support.flashes import film
from tests.support.onsets import Onsets, onsets


@pytest.mark.parametrize("keyframes", [True, False])
def test_sound_that_is_late_is_seen_at_every_flash(tmp_path: Path, keyframes: bool) -> None:
    source = str(tmp_path / "film.mp4")
    film(Path(source), 6)
    late = ["-i", source, "-itsoffset", "0.1", "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy"]
    subprocess.run(["ffmpeg", "-v", "error", *late, str(tmp_path / "late.mp4")], check=True)
    for name, seconds in (("film.mp4", 0.0), ("late.mp4", 0.1)):
        found = onsets(str(tmp_path / name), keyframes=keyframes)
        assert (len(found.flashes), found.lost) == (5, 0), "the first is at the very beginning"
        assert found.apart() == [pytest.approx(seconds, abs=0.01)] * 3


def test_what_is_missing_counts() -> None:
    assert Onsets([1.0, 2.0, 5.0, 6.0]).lost == 2
    assert Onsets([1.0, 2.0, 3.0, 4.0], [1.0, 3.01, 4.0]).apart() == [None, pytest.approx(0.01)]
