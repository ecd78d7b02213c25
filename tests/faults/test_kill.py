"""Nothing acknowledged is lost by `kill -9`, and nobody sees an event twice or misses one: of one server, and of one of
three behind nginx, whose clients go to the others.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kill import rounds_of
from tests.support.cluster import Cluster
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess

Served = tuple[str, list[ServerProcess]]


@pytest.fixture(params=["one node", "three nodes"])
def served(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[Served]:
    """A URL, and the servers behind it."""
    if request.param == "one node":
        with ServerProcess(tmp_path, NO_LIMITS) as server:
            yield server.url, [server]
    else:
        with Cluster(tmp_path, postgres, NO_LIMITS) as cluster:
            yield cluster.url, cluster.nodes


@pytest.mark.timeout(240)
async def test_kill_under_load(served: Served) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    results = await rounds_of(*served, 5, seed)
    assert all(result.acknowledged >= 8 * 5 for result in results)
