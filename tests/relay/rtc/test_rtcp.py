"""RTCP as it goes out and comes back."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from relay.rtc import rtcp


@given(st.integers(0, 65_535), st.sets(st.integers(0, 200), min_size=1, max_size=40))
def test_what_is_asked_for_again_is_read_again_also_over_the_wrap(first: int, ahead: set[int]) -> None:
    asked = [first + one & 0xFFFF for one in sorted(ahead)]
    (packet,) = rtcp.parse(rtcp.nack(1, 2, asked))
    assert set(rtcp.asked_again(packet)) == set(asked)


@given(st.integers(65_500, 65_535), st.sets(st.integers(1, 16), max_size=16))
def test_what_is_asked_for_with_one_before_the_wrap_is_after_it(first: int, ahead: set[int]) -> None:
    """As browsers ask: a number, and bits for the sixteen after it (RFC 4585, section 6.2.1)."""
    bits = sum(1 << one - 1 for one in ahead)
    (packet,) = rtcp.parse(struct.pack("!BBHIIHH", 0x81, 205, 3, 1, 2, first, bits))
    assert rtcp.asked_again(packet) == [first, *(first + one & 0xFFFF for one in sorted(ahead))]


def test_a_keyframe_is_asked_for_by_pli() -> None:
    report, described, packet = rtcp.parse(rtcp.receiver_report(1) + rtcp.pli(1, 2))
    assert rtcp.asks_keyframe(packet)
    assert not rtcp.asks_keyframe(report)
    assert not rtcp.asks_keyframe(described)
