"""The targets of the RTMP fuzzers, on a fixed number of inputs."""

import random
from collections.abc import Callable

import pytest

from tests.fuzz import amf, flv, rtmp


@pytest.mark.parametrize(("target", "count"), [(rtmp.target, 300), (amf.target, 5_000), (flv.target, 2_000)])
def test_any_bytes_end_in_a_value_or_a_violation(target: Callable[[bytes], None], count: int) -> None:
    chance = random.Random(7)
    for _ in range(count):
        target(chance.randbytes(chance.randrange(1, 400)))
