"""Payloads that are taken apart again are the unit they were made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import h264
from relay.keyframes import SLOW
from relay.rtc import packetise
from relay.rtc.depacketise import H264, Frame, Vp8
from relay.rtc.rtp import Rtp
from relay.units import AudioConfig, Unit, VideoConfig

SPS = bytes.fromhex("6742c01fda0280bfe5c0440000030004000003007a3c60ca80")
PPS = bytes.fromhex("68ce3c80")
CONFIG = h264.config_of([SPS], [PPS])


def slices(kind: int) -> st.SearchStrategy[list[bytes]]:
    body = st.integers(1, 9_000).flatmap(
        lambda size: st.binary(min_size=1, max_size=64).map(lambda some: (some * size)[:size])
    )
    return st.lists(body.map(lambda rest: bytes([0x60 | kind]) + rest), min_size=1, max_size=5)


def through(unit: Unit, depacketiser: H264 | Vp8, timestamp: int, index: int) -> tuple[list[Frame], int]:
    made = packetise.frame(unit)
    assert made.bytes == sum(map(len, made.payloads))
    assert all(0 < len(payload) <= packetise.MOST_PAYLOAD for payload in made.payloads)
    frames = []
    for number, payload in enumerate(made.payloads):
        marker = number == len(made.payloads) - 1
        packet = Rtp(96, marker, index & 0xFFFF, timestamp, 1, payload)
        frames += depacketiser.push((index, packet))
        index += 1
    return frames, index


@given(slices(h264.IDR), slices(h264.SLICE), st.integers(0, 70_000))
def test_h264_comes_through(key: list[bytes], other: list[bytes], index: int) -> None:
    depacketiser = H264()
    units = [
        Unit("video", 0, 0, h264.join_lengths(key), True, CONFIG),
        Unit("video", 3_000, 3_000, h264.join_lengths(other), False, CONFIG),
    ]
    frames = []
    for unit in units:
        more, index = through(unit, depacketiser, unit.pts, index)
        frames += more
    assert [(frame.timestamp, frame.data, frame.key) for frame in frames] == [(u.pts, u.data, u.key) for u in units]
    assert frames[0].config == CONFIG


@given(st.integers(1, 20_000))
def test_fragments_are_of_one_size_but_the_last(size: int) -> None:
    made = packetise.frame(Unit("video", 0, 0, h264.join_lengths([b"\x41" + bytes(size)]), False, CONFIG))
    sizes = [len(payload) for payload in made.payloads]
    assert set(sizes[:-1]) <= {packetise.MOST_PAYLOAD}
    assert sizes[-1] <= packetise.MOST_PAYLOAD


def test_slices_far_too_small_and_many_are_refused() -> None:
    small = Unit("video", 0, 0, h264.join_lengths([b"\x41"] * 258), False, CONFIG)
    with pytest.raises(ValueError, match="258 slices"):
        packetise.frame(small)
    rows = Unit("video", 0, 0, h264.join_lengths([b"\x41" + bytes(9)] * 135), False, CONFIG)
    assert len(packetise.frame(rows).payloads) == 135


def test_what_no_browser_looks_at_is_left_out() -> None:
    nals = [b"\x06\x05\x00", b"\x65abc", b"\x0c\xff"]
    made = packetise.frame(Unit("video", 0, 0, h264.join_lengths(nals), True, CONFIG))
    assert made.payloads[1:] == (b"\x65abc",)
    assert made.payloads[0] == b"\x78" + len(SPS).to_bytes(2) + SPS + len(PPS).to_bytes(2) + PPS


def test_parameter_sets_that_do_not_fit_in_one_packet_come_one_by_one() -> None:
    config = VideoConfig("h264", 640, 360, (SPS + bytes(800),), (PPS + bytes(800),))
    made = packetise.frame(Unit("video", 0, 0, h264.join_lengths([b"\x65abc"]), True, config))
    assert made.payloads == (config.sps[0], config.pps[0], b"\x65abc")


@given(st.integers(11, 9_000))
def test_vp8_comes_through(size: int) -> None:
    head = b"\x10\x02\x00\x9d\x01\x2a" + (640).to_bytes(2, "little") + (360).to_bytes(2, "little")
    data = (head + bytes(size))[: max(size, len(head))]
    frames, _ = through(Unit("video", 0, 0, data, True, VideoConfig("vp8", 640, 360)), Vp8(), 0, 7)
    assert [(frame.data, frame.key, frame.config) for frame in frames] == [(data, True, VideoConfig("vp8", 640, 360))]


def test_an_opus_packet_is_a_payload() -> None:
    made = packetise.frame(Unit("audio", 0, 0, b"opus", True, AudioConfig("opus", 48_000, 2)))
    assert made.payloads == (b"opus",)


@pytest.mark.parametrize("kept", [0, 1])
def test_after_a_loss_nothing_is_given_until_a_keyframe_or_for_seconds(kept: int) -> None:
    """Of two pictures only so many of two packets come; after the first a keyframe does."""
    depacketiser, index, given = H264(), 0, []
    key = Unit("video", 0, 0, h264.join_lengths([b"\x65key"]), True, CONFIG)
    other = Unit("video", 0, 0, h264.join_lengths([b"\x41" + bytes(2_000)]), False, CONFIG)
    for number in range(300):
        payloads = packetise.frame(key if number in (0, 60) else other).payloads
        for position, payload in enumerate(payloads):
            if number not in (30, 90) or position < kept:
                packet = Rtp(96, position == len(payloads) - 1, index & 0xFFFF, number * 3_000, 1, payload)
                given += [frame.timestamp // 3_000 for frame in depacketiser.push((index, packet))]
            index += 1
    assert given == [*range(30), *range(60, 90), *range(91 + SLOW // 3_000, 300)]
