"""What viewers by WHEP cost a media process, over a link: `python -m tests.costs.whep_network`.

With the kernel cutting runs (UDP_SEGMENT) and without, in turns. The media process has one core; on the other one, in a
network namespace behind a veth pair, are real viewers (`tests.costs.whep_viewers`), the encoder and the other
processes. ffmpeg publishes 2.5 Mbit/s of video and sound by RTMP. Prints the media process's share of a core, how busy
that core was in all, and how many viewers would fill it. Needs root.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.processes import cpu_seconds
from tests.costs import tables
from tests.costs.tables import Table
from tests.support.live import PATIENCE, LiveServer, creator
from tests.support.network import Host

OURS, THEIRS = 0, 1
SETTLE_SECONDS = 4.0
FILM_SECONDS = 20


def film(path: Path) -> None:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    rate = ["-b:v", "2500k", "-minrate", "2500k", "-maxrate", "2500k", "-bufsize", "1500k"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-g", "60"]
    codecs += ["-x264-params", "nal-hrd=cbr", "-c:a", "aac", "-b:a", "128k"]
    command = ["ffmpeg", "-v", "error", "-y", *picture, *codecs, *rate, "-t", str(FILM_SECONDS), str(path)]
    subprocess.run(command, check=True)


def busy(core: int) -> tuple[int, int]:
    """Ticks in which the core had something to do, and all."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    ticks = [int(word) for word in line.split()[1:]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


class Crowd:
    """The process of the viewers."""

    def __init__(self, host: Host, url: str, room: str, viewers: int, joins: int, prefix: Sequence[str], *more: str):
        """`prefix`: a command that runs another one; `more`: further arguments."""
        command = [*host.within, *prefix, sys.executable, "-m", "tests.costs.whep_viewers"]
        command += ["--url", url, "--room", room, "--viewers", str(viewers), "--joins", str(joins), *more]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def line(self, told: bool = True) -> dict[str, Any]:
        """The next one, asked for first where it waits to be."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if told:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        async with asyncio.timeout(PATIENCE):
            read = await asyncio.to_thread(self.process.stdout.readline)
        found: dict[str, Any] = json.loads(read)
        return found


def pin(server: LiveServer) -> int:
    """Gives all threads of each process their core. Returns the media process."""
    (media,) = server.pids("media")
    others = [*server.pids("gateway"), *server.pids("edge")]
    for pid, core in ((media, OURS), *((pid, THEIRS) for pid in others)):
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
    return media


async def measure(viewers: int, joins: int, seconds: float, offload: bool) -> list[str]:
    """A row."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data, Host() as host:
        settings = {
            "GALAXY_RELAY__PUBLIC_ADDRESSES": host.gateway,
            "GALAXY_RELAY__WHEP_VIEWERS": "100000",
            "GALAXY_RELAY__RECORD": "false",
            "GALAXY_RELAY__DVR_SECONDS": "0",
            "GALAXY_RELAY__UDP_OFFLOAD": str(offload).lower(),
        }
        source = Path(data) / "film.flv"
        await asyncio.to_thread(film, source)
        with LiveServer(Path(data), settings, host=host.gateway) as server:
            media = pin(server)
            async with creator(server) as ana:
                send = ["taskset", "-c", str(THEIRS), "ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1"]
                send += ["-i", str(source), "-c", "copy", "-f", "flv", await ana.address()]
                with subprocess.Popen(send, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                    await ana.until("live.started")
                    crowd = Crowd(host, server.url, ana.room, viewers, joins, ["taskset", "-c", str(THEIRS)], "--awake")
                    try:
                        await crowd.line(told=False)
                        await asyncio.sleep(SETTLE_SECONDS)
                        await crowd.line()
                        used, (core, whole) = cpu_seconds(media), busy(OURS)
                        await asyncio.sleep(seconds)
                        share = (cpu_seconds(media) - used) / seconds
                        core_after, whole_after = busy(OURS)
                        found = await crowd.line()
                    finally:
                        crowd.process.kill()
                        encoder.kill()
    filled = (core_after - core) / (whole_after - whole)
    return [
        "on" if offload else "off",
        f"{found['viewers']}",
        f"{found['joins']:.0f}",
        f"{share:.0%}",
        f"{filled:.0%}",
        f"{found['packets']:,.0f}",
        f"{found['viewers'] / share:,.0f}",
        f"{found['packets'] / share:,.0f}",
        f"{found['join_ms']}",
        f"{found['checked']}",
        f"{found['holes']}",
        f"{found['refused'] + found['silent']}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--joins", type=int, default=20, help="a second, beside them")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=3)
    args = tables.parse(parser)
    table = Table(
        "whep_network", args.docs, "offload", "viewers by WHEP", "joins/s", "media process, of a core",
        "its core busy", "packets/s", "viewers a core", "packets/s a core", "a join, ms", "viewers who check", "holes",
        "refused or silent",
    )  # fmt: skip
    for _ in range(args.runs):
        for offload in (True, False):
            table.add(*asyncio.run(measure(args.viewers, args.joins, args.seconds, offload)))
    table.publish()


if __name__ == "__main__":
    main()
