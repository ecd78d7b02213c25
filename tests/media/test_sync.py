"""The short form of `tests.media.sync`."""

from tests.media.sync import run


async def test_flash_and_beep_stay_together_on_every_output() -> None:
    found = await run(30, "640x360", 800)
    assert len(found) == 10
    assert [one.row() for one in found if not one.holds] == []
