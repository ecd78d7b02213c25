"""A stream as OBS sends it by WHIP: `python -m tests.media.obs --minutes 10`.

OBS is not run, but the library that it streams with, libdatachannel (npm's `node-datachannel`; wants node and npm, and
the registry), set up as OBS sets it up: High profile under an offer of 42e01f, keyframes each two seconds and none when
asked for, Opus, a whole offer without PATCH. Looked at as in `tests.media.sync`; writes a dated result to
`docs/proof/`.
"""

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from tests.media.sync import FILM_SECONDS, Found, Room, pushing, table
from tests.support.flashes import TONE
from tests.support.live import LiveServer
from tests.support.reports import head, publish

PACKAGE = "node-datachannel@0.33.4"


def film(path: Path) -> None:
    """Access units (Annex B) and Opus packets, in base64: both begin anew without a gap."""
    picture = "testsrc2=size=1280x720:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='{TONE}|{TONE}':s=48000"]
    h264 = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "0", "-g", "60", "-b:v", "2500k"]
    h264 += ["-pix_fmt", "yuv420p", "-t", str(FILM_SECONDS), "-f", "h264", str(path.with_suffix(".h264"))]
    opus = ["-c:a", "libopus", "-b:a", "128k", "-t", str(FILM_SECONDS), str(path.with_suffix(".opus"))]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0", *h264, "-map", "1", *opus]
    subprocess.run(command, check=True)
    video, audio = (packets(path.with_suffix(suffix)) for suffix in (".h264", ".opus"))
    path.write_text(json.dumps({"video": video, "audio": audio[: FILM_SECONDS * 50]}))


def packets(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [base64.b64encode(bytes(packet)).decode() for packet in container.demux() if packet.size]


async def run(seconds: float) -> list[Found]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
        await asyncio.to_thread(subprocess.run, install, check=True)
        await asyncio.to_thread(film, folder / "film.json")
        module = folder / "node_modules/node-datachannel/dist/esm/lib/index.mjs"
        # libdatachannel has no candidate at the loopback interface.
        with LiveServer(folder / "data", {"GALAXY_RELAY__PUSH_NETWORKS": "127.0.0.0/8"}, host="0.0.0.0") as server:  # noqa: S104
            async with pushing(server, "ana") as (ana, destination):
                key = (await ana.command(type="live.key", room=ana.room))["key"]
                url = f"{server.url}/v1/rooms/{ana.room}/whip"
                command = ["node", str(Path(__file__).with_suffix(".mjs")), str(module), url, key]
                encoder = await asyncio.create_subprocess_exec(*command, str(folder / "film.json"))
                try:
                    async with asyncio.TaskGroup() as tasks:
                        await ana.until("live.started")
                        room = Room("OBS", ana, tasks, keyframes=False)
                        await room.reach(seconds)
                        await room.finish(destination)
                finally:
                    if encoder.returncode is None:
                        encoder.kill()
                    await encoder.wait()
    return room.found


def report(found: list[Found], minutes: float, load: float) -> list[str]:
    return [
        *head("A stream as OBS sends it by WHIP", f"python -m tests.media.obs --minutes {minutes:g}"),
        f"Load of the two cores {load:.1f}. 1280 × 720 at 30, 2.5 Mbit/s, High profile, Opus, by libdatachannel",
        f"({PACKAGE}). Flash and beep once a second, and every one of them looked at. First and last minute are means.",
        "",
        *table(found),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    found = asyncio.run(run(args.minutes * 60))
    publish(report(found, args.minutes, os.getloadavg()[1]), args.output, "obs")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
