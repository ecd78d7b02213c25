"""A disk that stops answering: a FUSE file system (bindfs) whose process is stopped."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0


async def stuck(pid: int) -> None:
    """Returns once a thread of the process waits for such a disk."""
    async with asyncio.timeout(PATIENCE):
        while not _is_stuck(pid):  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.05)


def _is_stuck(pid: int) -> bool:
    return any("fuse" in stack.read_text() for stack in Path(f"/proc/{pid}/task").glob("*/stack"))


class StallingDisk:
    """At `path`. While it is stalled all that is asked of it waits, and nothing fails."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes]):
        self.path = path
        self._process = process

    def stall(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def stalling_disk(folder: Path) -> Iterator[StallingDisk]:
    behind, path = folder / "behind", folder / "disk"
    behind.mkdir()
    path.mkdir()
    with subprocess.Popen(["bindfs", "-f", str(behind), str(path)]) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not path.is_mount():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            yield StallingDisk(path, process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()  # takes it off its folder, too
