"""The targets of WebRTC's fuzzers, on a fixed number of inputs."""

import random
from collections.abc import Callable

import pytest

from relay.rtc import sdp
from tests.fuzz import rtp, stun
from tests.fuzz import sdp as offers


@pytest.mark.parametrize(("target", "count"), [(rtp.target, 500), (stun.target, 3_000), (offers.target, 3_000)])
def test_any_bytes_end_in_a_value_or_a_refusal(target: Callable[[bytes], None], count: int) -> None:
    chance = random.Random(7)
    for _ in range(count):
        target(chance.randbytes(chance.randrange(1, 400)))


def test_what_the_fuzzer_of_offers_begins_with_is_a_whole_one() -> None:
    assert sdp.parse("\r\n".join(offers.LINES[index] for index in offers.WHOLE)).sections[0].kind == "video"
