"""RTCP as it goes out and comes back."""

from hypothesis import given
from hypothesis import strategies as st

from relay.rtc import rtcp


@given(st.integers(0, 65_535), st.sets(st.integers(0, 200), min_size=1, max_size=40))
def test_what_is_asked_for_again_is_read_again_also_over_the_wrap(first: int, ahead: set[int]) -> None:
    asked = [first + one & 0xFFFF for one in sorted(ahead)]
    (packet,) = rtcp.parse(rtcp.nack(1, 2, asked))
    assert set(rtcp.asked_again(packet)) == set(asked)


def test_a_keyframe_is_asked_for_by_pli() -> None:
    report, described, packet = rtcp.parse(rtcp.receiver_report(1) + rtcp.pli(1, 2))
    assert rtcp.asks_keyframe(packet)
    assert not rtcp.asks_keyframe(report)
    assert not rtcp.asks_keyframe(described)
