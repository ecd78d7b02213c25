"""Viewers and publishers by WebRTC over a bad network, in short; the long form is `python -m tests.media.networks`."""

from tests.media.networks import run

BEARABLE, TOO_MUCH = "5% lost, 50 ± 20 ms", "20% lost, 50 ± 20 ms"
SEEN = "seen.length > 100 && pictures.length > 3"
MOVED = "player.way === 'stream' && pictures.length > 3"


async def test_what_is_lost_is_sent_again_and_too_much_of_it_moves_the_viewer() -> None:
    bearable, too_much = await run(3, [BEARABLE, TOO_MUCH], enough={BEARABLE: SEEN, TOO_MUCH: MOVED})
    assert bearable.way == "whep"
    assert bearable.least > 40
    assert too_much.changes[-1] == " to stream: loss"
    assert too_much.least > 40


async def test_what_a_publisher_loses_is_sent_again_before_anybody_sees_it() -> None:
    [shown] = await run(3, [BEARABLE], publisher=True, enough={BEARABLE: SEEN})
    assert shown.least > 40
