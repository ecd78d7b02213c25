"""Rolling restarts lose nothing, and show nobody an error."""

import random
from pathlib import Path

import pytest

from tests.faults.rolling import rounds_of


@pytest.mark.timeout(240)
async def test_rolling_restarts_under_load(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    results = await rounds_of(tmp_path, 2, 2, seed)
    assert len(results) == 2
    assert all(result.acknowledged and result.visits for result in results)
