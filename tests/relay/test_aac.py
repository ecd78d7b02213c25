"""AudioSpecificConfigs that are taken, and those that are not."""

import pytest

from relay.aac import read_specific, write_specific


def test_what_is_written_is_read() -> None:
    config = read_specific(write_specific(44_100, 2))
    assert (config.codec, config.rate, config.channels) == ("aac", 44_100, 2)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x11", "shorter"),
        (write_specific(48_000, 2).ljust(65, b"\0"), "65 bytes; at most 64"),
        (b"\x29\x90", "audio object type 5"),
        (b"\x17\x80", "ends in the sample rate"),
        (b"\x11\x80", "channel configuration 0"),
    ],
    ids=["short", "long", "HE-AAC", "rate", "channels"],
)
def test_others_are_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_specific(data)


def test_a_longest_one_is_taken() -> None:
    assert read_specific(write_specific(48_000, 2).ljust(64, b"\0")).rate == 48_000
