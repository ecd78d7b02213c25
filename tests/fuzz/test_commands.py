"""The command fuzzer's target, on a fixed number of inputs."""

import random

from tests.fuzz.commands import target


def test_any_command_is_decoded_or_refused() -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        target(chance.randbytes(chance.randrange(1, 400)))
