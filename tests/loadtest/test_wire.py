"""The load generator's frames, against the server's own parser and encoder."""

import struct

import pytest

from loadtest.wire import PONG, TEXT, frame_at, masked
from realtime.gateway.frames import FrameParser, encode


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 4_096, 65_535])
def test_what_is_sent_is_what_the_server_reads(size: int) -> None:
    payload = b"x" * size
    assert list(FrameParser(65_536).feed(masked(payload))) == [(TEXT, payload)]


def test_a_pong_is_a_control_frame() -> None:
    assert list(FrameParser(65_536).feed(masked(b"beat", PONG))) == [(PONG, b"beat")]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_the_servers_frames_are_found_and_their_beginnings_are_not(size: int) -> None:
    frame = encode(b"y" * size, TEXT)
    data = b"before" + frame + b"\x81"
    assert frame_at(data, 6) == (TEXT, 6 + len(frame) - size, 6 + len(frame))
    assert frame_at(data, 6 + len(frame)) is None
    for cut in {1, 2, 3, 5, 9, len(frame) - 1} & set(range(len(frame))):
        assert frame_at(frame[:cut], 0) is None


def test_more_than_sixteen_bits_of_length_are_not_sent() -> None:
    with pytest.raises(struct.error):
        masked(b"x" * 65_536)
