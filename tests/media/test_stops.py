"""The short form of `tests.media.stops`: everything ends, within a patience that says nothing of the limit."""

from tests.media.stops import report, run


async def test_bans_and_takedowns_end_everything() -> None:
    found = await run(1)
    assert len(found) == 7
    assert {len(seconds) for seconds in found.values()} == {1}
    text = "\n".join(report(found, 1))
    assert all(f"| {name} | " in text for name in found)
