"""The measurement itself: every step of a message's way is seen, and each burst counted."""

from pathlib import Path

from tests.costs.message import STEPS, Clocks, measure


async def test_every_step_of_every_burst_is_counted(tmp_path: Path) -> None:
    with Clocks() as clocks:
        taken = await measure(tmp_path, window=8, rooms=3, bursts=2, clocks=clocks)
    assert len(taken) == 2
    assert clocks.spent.keys() == {name for name, _, _ in STEPS}
    assert all(seconds > 0 for seconds in (*taken, *clocks.spent.values()))
