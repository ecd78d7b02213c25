"""What the disk itself takes: the floor of every commit."""

import os
import time
from pathlib import Path

PAGE = bytes(4_096)


def fsync_seconds(folder: Path, times: int = 200) -> list[float]:
    """How long it takes to append 4 KiB to a file in `folder` and fsync it, again and again."""
    path = folder / "fsync.probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            os.write(descriptor, PAGE)
            os.fsync(descriptor)
            taken.append(time.perf_counter() - began)
        return taken
    finally:
        os.close(descriptor)
        path.unlink()


def disk_figures(folder: Path) -> dict[str, float]:
    """Figures of a run whose server keeps its data there."""
    ordered = sorted(fsync_seconds(folder))
    p50, p99 = (1_000 * ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 99))
    return {"fsync_p50_ms": p50, "fsync_p99_ms": p99}
