"""A round trip by the sender's answer to a receiver's reference time."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from relay.rtc import rtcp, xr


def answer(asked: bytes, ssrc: int, held: float) -> bytes:
    """Of a sender that has held it for so many seconds."""
    (time,) = struct.unpack_from("!Q", asked, 12)
    return struct.pack("!BBHIBBHIII", 0x80, 207, 5, 9, 5, 0, 3, ssrc, time >> 16 & 0xFFFFFFFF, round(held * 65_536))


@given(st.floats(0, 1e6), st.floats(0, 9), st.floats(0, 5))
def test_what_the_sender_held_is_not_of_the_way(now: float, trip: float, held: float) -> None:
    compound = rtcp.receiver_report(9) + answer(xr.reference_time(7, now), 7, held)
    found = xr.round_trip(compound, 7, now + trip + held)
    assert found is not None
    assert abs(found - trip) < 0.001
    assert xr.round_trip(compound, 8, now + trip + held) is None


def test_it_is_read_as_nothing_by_others() -> None:
    compound = rtcp.receiver_report(7) + xr.reference_time(7, 5.0)
    assert len(rtcp.parse(compound)) == 2
    assert xr.round_trip(compound, 7, 5.0) is None


@given(st.binary(max_size=200))
def test_nonsense_is_no_answer_or_one_of_sense(data: bytes) -> None:
    for header in (b"", b"\x80\xcf", b"\x80\xcf\x00\x05\x00\x00\x00\x09\x05\x00"):
        found = xr.round_trip(header + data, 7, 1_000.0)
        assert found is None or 0 <= found < 10
