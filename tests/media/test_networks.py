"""Viewers and publishers by WebRTC over a bad network, in short; the long form is `python -m tests.media.networks`."""

from tests.media.networks import run


async def test_what_is_lost_is_sent_again_and_too_much_of_it_moves_the_viewer() -> None:
    bearable, too_much = await run(8, ["5% lost, 50 ± 20 ms", "20% lost, 50 ± 20 ms"])
    assert bearable.way == "whep"
    assert bearable.frames > 100
    assert bearable.least > 40
    assert too_much.way == "stream"
    assert too_much.changes[-1] == " to stream: loss"
    assert too_much.least > 40


async def test_what_a_publisher_loses_is_sent_again_before_anybody_sees_it() -> None:
    [shown] = await run(5, ["5% lost, 50 ± 20 ms"], publisher=True)
    assert shown.frames > 100
    assert shown.least > 40
