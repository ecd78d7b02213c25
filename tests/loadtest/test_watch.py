"""What is seen of a server: from its metrics, and from the system."""

import os
import subprocess
import sys

import pytest

from loadtest.processes import cpu_seconds, family, resident_bytes
from loadtest.watch import Watch, read

PAGE = """\
# TYPE galaxy_queue_depth gauge
galaxy_queue_depth{queue="inboxes"} 3
galaxy_queue_depth{queue="store_writes"} 4
# TYPE galaxy_connections gauge
galaxy_connections{kind="websocket"} 10
galaxy_connections{kind="sse"} 2
# TYPE galaxy_deliveries_total counter
galaxy_deliveries_total 1000
# TYPE galaxy_commands_total counter
galaxy_commands_total{type="a",code="ok"} 1
galaxy_commands_total{type="b",code="ok"} 2
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1e+08
# TYPE galaxy_commit_seconds histogram
galaxy_commit_seconds_bucket{le="+Inf"} 1
galaxy_commit_seconds_count 1
galaxy_commit_seconds_sum 0.5
"""


def test_counters_grow_and_gauges_stand() -> None:
    totals: dict[str, float] = {}
    found: dict[str, float] = {}
    read(PAGE, totals, found)
    assert totals == {"deliveries": 1_000, "commands": 3, "cpu": 12.5}
    assert found == {"queue.inboxes": 3, "queue.store_writes": 4, "connections": 12, "rss_bytes": 1e8}


def test_a_process_is_counted_with_those_that_it_has_started() -> None:
    child = "print(1, flush=True); input()"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        both = family(process.pid)
        assert both[0] == process.pid
        assert len(both) == 2
        assert all(resident_bytes(pid) > 100_000 for pid in both)
        process.communicate("\n\n")
    with pytest.raises(ProcessLookupError):
        cpu_seconds(process.pid)
    with pytest.raises(ProcessLookupError):
        family(process.pid)


async def test_the_processor_time_is_a_share_of_what_has_passed() -> None:
    watch = Watch("http://127.0.0.1:1", os.getpid())
    first = await watch.sample(scrape=False)
    assert set(first) == {"rss_bytes"}
    again = await watch.sample(scrape=False)
    assert again["cpu"] >= 0
    assert await watch.rss() > 1_000_000
    await watch.close()
