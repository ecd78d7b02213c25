"""Streams leave nothing behind, in short; the long form, with memory, is `python -m tests.media.cycles`."""

from tests.media.cycles import ROOMS, run, same


async def test_what_streams_have_opened_is_closed_with_them() -> None:
    before, after = await run(2 * ROOMS, 2 * ROOMS)
    assert same(before, after), (before, after)
