import subprocess
import sys
import time

import pytest

from loadtest.bench.clocks import Clocks, family
from loadtest.bench.timing import Taken

BUSY = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True)\\nwhile True: pass'])"


def test_child_processes_count() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pids = family(parent.pid)
        assert pids[0] == parent.pid
        assert len(pids) == 2
        clocks = Clocks(parent.pid, float)
        before, _ = clocks.read()
        while clocks.read()[0] < before + 0.05:
            pass
        subprocess.run(["kill", "-9", *map(str, reversed(pids))], check=True)


def test_a_server_that_has_ended_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        clocks = Clocks(ended.pid, float)
        ended.wait()
    with pytest.raises(OSError, match=r"."):
        clocks.read()


def test_our_own_clock_counts_our_own_work() -> None:
    with subprocess.Popen(["sleep", "60"]) as idle:
        clocks = Clocks(idle.pid, float)
        server, client = clocks.read()
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        later, ours = clocks.read()
        assert ours - client >= 0.02
        assert later - server < 0.01
        idle.kill()


def test_percentiles_are_nearest_ranks() -> None:
    taken = Taken(waits=[(0.3, 1), (0.1, 90), (0.2, 9)])
    assert [taken.percentile(share) for share in (0.5, 0.9, 0.91, 0.99, 1.0)] == [0.1, 0.1, 0.2, 0.2, 0.3]
