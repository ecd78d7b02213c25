"""Nothing acknowledged is lost by `kill -9`, and nobody sees an event twice or misses one."""

import random
from pathlib import Path

import pytest

from tests.faults.kill import rounds_of


@pytest.mark.timeout(240)
async def test_kill_under_load(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    results = await rounds_of(tmp_path, 5, seed)
    assert all(result.acknowledged >= 8 * 5 for result in results)
