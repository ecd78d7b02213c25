"""Files are taken away, or the disk is said not to answer: nobody waits for it."""

import asyncio
from pathlib import Path

import pytest

from realtime.live.deletions import Deletions
from relay.ports import Refused
from tests.support.stalled import stalling_disk


async def test_a_stalled_disk_is_refused_at_once_from_then_on_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.live.deletions.SECONDS", 0.2)
    deletions = Deletions()
    with stalling_disk(tmp_path) as disk:
        for name in ("one", "other"):
            (disk.path / name).mkdir()
            (disk.path / name / "1.0.mp4").write_bytes(b"film")
        disk.stall()
        for name in ("one", "other"):
            with pytest.raises(Refused, match="does not answer"):
                await deletions.delete(disk.path / name)
        disk.resume()
        async with asyncio.timeout(10):
            while (tmp_path / "behind" / "one").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while True:
                try:
                    await deletions.delete(disk.path / "other")
                except Refused:
                    await asyncio.sleep(0.01)
                else:
                    break
        assert list((tmp_path / "behind").iterdir()) == []
