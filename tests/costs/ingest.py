"""What a publisher costs: `python -m tests.costs.ingest`.

ffmpeg sends a film of 1080p60 at 8 Mbit/s with B-frames and AAC by RTMP, as it is, to a whole server, which cuts parts,
keeps a recording and makes pictures of it. Prints the shares of a core that the media and the edge process take.
"""

import argparse
import asyncio
import subprocess
import tempfile
from pathlib import Path

from loadtest.processes import cpu_seconds
from tests.costs import tables
from tests.costs.tables import Table
from tests.support.live import LiveServer, creator

SETTLE_SECONDS = 4.0


def film(path: Path) -> None:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=60", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    rate = ["-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "4M", "-x264-params", "nal-hrd=cbr"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "120", "-c:a", "aac", "-b:a", "128k"]
    command = ["ffmpeg", "-v", "error", "-y", *picture, *codecs, *rate, "-t", "10", str(path)]
    subprocess.run(command, check=True)


async def measure(seconds: float, table: Table) -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        LiveServer(Path(data), {"GALAXY_RELAY__MAX_KBIT": "20000"}) as server,
    ):
        source = Path(data) / "film.flv"
        await asyncio.to_thread(film, source)
        async with creator(server) as ana:
            send = ["ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy", "-f", "flv"]
            send.append(await ana.address())
            with subprocess.Popen(send, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                await ana.until("live.started")
                await asyncio.sleep(SETTLE_SECONDS)
                pids = {kind: server.pids(kind)[0] for kind in ("media", "edge")}
                before = {kind: cpu_seconds(pid) for kind, pid in pids.items()}
                await asyncio.sleep(seconds)
                shares = {kind: (cpu_seconds(pid) - before[kind]) / seconds for kind, pid in pids.items()}
                encoder.kill()
    for kind, share in shares.items():
        table.add(f"{kind} process", f"{share:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = tables.parse(parser)
    table = Table("ingest", args.docs, "a publisher of 1080p60 at 8 Mbit/s", "of a core")
    asyncio.run(measure(args.seconds, table))
    table.publish()


if __name__ == "__main__":
    main()
