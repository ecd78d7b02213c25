"""Packets in order, whatever the network makes of them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.rtc.jitter import Jitter
from relay.rtc.rtp import Rtp


def packet(index: int) -> Rtp:
    return Rtp(96, False, index & 0xFFFF, index & 0xFFFFFFFF, 1, str(index).encode())


@given(
    st.integers(0, 200_000),
    st.integers(1, 200),
    st.lists(st.tuples(st.integers(1, 199), st.integers(1, 12)), max_size=40),
)
def test_what_is_overtaken_or_comes_twice_is_given_once_and_in_order(
    start: int, count: int, moves: list[tuple[int, int]]
) -> None:
    order = list(range(start, start + count))
    for at, by in moves:
        if at < len(order):
            order.insert(min(at + by, len(order) - 1), order.pop(at))
    order += order[-3:]
    jitter = Jitter(1.0)

    given = [one for index in order for one in jitter.add(packet(index), 0.0)]

    assert [int(one.payload) for _, one in given] == sorted(set(order))
    assert all(b == a + 1 for (a, _), (b, _) in pairwise(given))
    assert (jitter.lost, jitter.late, jitter.waits) == (0, 3 if count >= 3 else count, False)


@given(st.integers(0, 200_000), st.sets(st.integers(1, 98), max_size=30))
def test_what_does_not_come_is_given_up_and_seen_in_the_numbers(start: int, lost: set[int]) -> None:
    sent = [start + index for index in range(100) if index not in lost]
    jitter = Jitter(0.4)

    given = [one for index in sent for one in jitter.add(packet(index), 1.0)]
    given += jitter.expire(1.5)

    assert [int(one.payload) for _, one in given] == sent
    assert [b - a for (a, _), (b, _) in pairwise(given)] == [b - a for a, b in pairwise(sent)]
    assert jitter.lost == len(lost)


def test_a_sender_that_begins_anew_is_believed_with_its_second_packet() -> None:
    jitter = Jitter(1.0)
    jitter.add(packet(100), 0.0)
    assert jitter.add(packet(30_000), 0.0) == []
    (after,) = jitter.add(packet(30_001), 0.0)
    assert after[1].payload == b"30001"
