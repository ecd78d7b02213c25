"""How much processor time a server and the bench's own process have used."""

import time
from collections.abc import Callable
from pathlib import Path


class Clocks:
    """Of a server with all threads and child processes, and of this process but for what it waited in vain."""

    def __init__(self, pid: int, idle: Callable[[], float]):
        """`idle` says for how many seconds this process has been asking whether there is something to do."""
        self._servers = family(pid)
        self._idle = idle

    def read(self) -> tuple[float, float]:
        """Seconds: the server's, ours. Raises OSError if the server has ended."""
        return sum(time.clock_gettime(_clock(pid)) for pid in self._servers), time.process_time() - self._idle()


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _clock(pid: int) -> int:
    """The id of a process's CPU-time clock, as clock_getcpuclockid(3) makes it: finer than /proc's ticks of 10 ms."""
    return ~pid << 3 | 2
