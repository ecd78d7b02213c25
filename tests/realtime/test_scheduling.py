"""What processes ask of the scheduler, in a whole server."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from realtime.scheduling import MEDIA_NICE, SLICE_NS
from tests.support.live import LiveServer
from tests.support.server import NO_LIMITS


def slices(pid: int) -> set[int | None]:
    """Of all threads, in ns; None where the kernel does not say."""
    found: set[int | None] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        told = re.search(r"^se\.slice +: +(\d+)", (thread / "sched").read_text(), re.MULTILINE)
        found.add(int(told[1]) if told else None)
    return found


def test_chat_goes_before_media(tmp_path: Path) -> None:
    mine = slices(os.getpid())
    release = tuple(map(int, platform.release().split(".")[:2]))
    with LiveServer(tmp_path, NO_LIMITS | {"GALAXY_LOG__LEVEL": "warning"}) as server:
        for kind, nice in (("gateway", 0), ("media", MEDIA_NICE), ("edge", MEDIA_NICE)):
            (pid,) = server.pids(kind)
            assert os.getpriority(os.PRIO_PROCESS, pid) == nice
            assert os.sched_getscheduler(pid) == os.SCHED_OTHER
            assert slices(pid) == ({SLICE_NS} if kind == "gateway" and release >= (6, 12) and mine != {None} else mine)


def test_what_the_operator_has_chosen_stays() -> None:
    ask = "import os, realtime.scheduling as s; s.ask_for_short_slices(); print(os.sched_getscheduler(0))"
    told = subprocess.run(["chrt", "-b", "0", sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert (told.stdout.strip(), told.stderr) == (str(os.SCHED_BATCH), "")
