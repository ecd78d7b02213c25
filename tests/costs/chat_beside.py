"""Chat beside viewers by WHEP: `python -m tests.costs.chat_beside`.

A whole server on two cores. By turns, with and without so many viewers by WHEP of a stream of 2.5 Mbit/s, a room of a
hundred is sent twenty messages a second. Prints how long deliveries took, and the ratios of each pair. The viewers are
real ones on the same machine, behind a veth pair, in a process that gives way to all others; chat's clients, who take
the time, come before all others, as if they were elsewhere. Needs root.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.costs import tables
from tests.costs.tables import Table
from tests.costs.whep_network import Crowd, film
from tests.support.live import LiveServer, creator
from tests.support.network import Host
from tests.support.server import NO_LIMITS, SECRET


async def chat(url: str, pid: int, seconds: float) -> dict[str, Any]:
    """What the load test says of its deliveries."""
    command = ["chrt", "-f", "10", sys.executable, "-m", "loadtest", "fanout", "--url", url, "--secret", SECRET]
    command += ["--pid", str(pid), "--connections", "100", "--senders", "10", "--rate", "20"]
    command += ["--duration", str(seconds), "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    return found


async def measure(viewers: int, pairs: int, seconds: float, table: Table) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data, Host() as host:
        settings = NO_LIMITS | {
            "GALAXY_RELAY__PUBLIC_ADDRESSES": host.gateway,
            "GALAXY_RELAY__WHEP_VIEWERS": "100000",
        }
        source = Path(data) / "film.flv"
        await asyncio.to_thread(film, source)
        ratios: list[float] = []
        with LiveServer(Path(data), settings, host=host.gateway) as server:
            (gateway,) = server.pids("gateway")
            async with creator(server) as ana:
                send = ["ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy"]
                send += ["-f", "flv", await ana.address()]
                with subprocess.Popen(send, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                    await ana.until("live.started")
                    for _ in range(pairs):
                        alone = await chat(server.url, gateway, seconds)
                        crowd = Crowd(host, server.url, ana.room, viewers, 0, ["chrt", "-i", "0"])
                        await crowd.line(told=False)
                        await crowd.line()
                        beside = await chat(server.url, gateway, seconds)
                        found = await crowd.line()
                        await asyncio.to_thread(crowd.process.wait)
                        before, after = (run["delivery_p99_ms"] for run in (alone, beside))
                        ratios.append(after / before)
                        table.add(
                            f"{alone['delivery_p50_ms']:.1f}",
                            f"{beside['delivery_p50_ms']:.1f}",
                            f"{before:.1f}",
                            f"{after:.1f}",
                            f"{ratios[-1]:.2f}",
                            f"{found['packets']:,.0f}",
                            found["holes"],
                        )
                    encoder.kill()
    table.note(
        f"p99 with {viewers} viewers by WHEP is {median(ratios):.2f} of what it is without (median of {pairs} pairs)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0)
    args = tables.parse(parser)
    table = Table(
        "chat_beside", args.docs, "deliveries' p50, ms", "with viewers", "p99, ms", "with viewers", "ratio",
        "packets/s to viewers", "holes",
    )  # fmt: skip
    asyncio.run(measure(args.viewers, args.pairs, args.seconds, table))
    table.publish()


if __name__ == "__main__":
    main()
