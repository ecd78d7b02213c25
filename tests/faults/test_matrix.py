"""What nodes stand on fails under load, each way twice (`tests.faults.matrix`). Only root can make the nodes' hosts."""

import random
from pathlib import Path

import pytest

from tests.faults.matrix import FAULTS, rounds_of
from tests.support.postgres import PostgresServer

LASTS_SECONDS = 5.0
"""Longer than any timeout: 2 s of the store, 3 s of a silent Redis, 4 s of a silent node."""


@pytest.mark.timeout(600)
async def test_every_fault_is_survived(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with PostgresServer() as database:
        outcomes, acknowledged = await rounds_of(tmp_path, database, 2, seed, LASTS_SECONDS)
    assert [len(outcome.recovered) for outcome in outcomes.values()] == [2] * len(FAULTS)
    assert acknowledged > 100
