"""The measurements of several nodes and lanes themselves: everything arrives, and is counted."""

from tests.costs import lanes, nodes


def test_every_burst_arrives_at_all_listeners_of_both_sides() -> None:
    for side, count in zip(nodes.measure(listeners=6, window=4, bursts=3, senders=2), (1, 2), strict=True):
        assert len(side.spent) == len(side.took) == 3
        for took in side.took:
            assert [len(times) for times in took] == [6 // count] * count
            assert all(seconds > 0 for times in took for seconds in times)


async def test_quiet_rooms_are_measured_alone_and_beside_a_hot_one() -> None:
    took = await lanes.measure(rate=100, seconds=0.3, turns=1)
    assert list(took) == ["alone", "beside a flood", "beside a locked room"]
    for (turn,) in took.values():
        assert len(turn) > 10
