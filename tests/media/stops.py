"""How long a ban or a takedown takes to end what is watched and streamed, from the command to what somebody sees of it.

`python -m tests.media.stops --rounds 20` prints it and writes a dated result to `docs/proof/`. A whole server on one
machine, ffmpeg as the encoder, aiortc and websockets as viewers.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tests.relay.rtc.support import until
from tests.support.live import PATIENCE, Creator, LiveServer, creator, encoder
from tests.support.reports import head, publish
from tests.support.server import token
from tests.support.viewers import Viewer, viewer

LIMIT = 1.0
"""Seconds that any of it may take."""
ROOT = {"Authorization": f"Bearer {token('root', name='Root', roles=['admin'])}"}

Found = dict[str, list[float]]
"""Seconds of each round, by what ends."""


async def timed(began: float, ends: Awaitable[object]) -> float:
    await asyncio.wait_for(ends, PATIENCE)
    return time.monotonic() - began


async def ended(who: Viewer, status: int, began: float, more: Mapping[str, Awaitable[object]]) -> dict[str, float]:
    """`status`: what playlists answer from then on."""
    ends = {"fMP4": who.stream.wait_closed(), "HLS": who.until_listed(status), "WHEP": who.until_whep_ends(), **more}
    seconds = await asyncio.gather(*(timed(began, one) for one in ends.values()))
    return dict(zip(ends, seconds, strict=True))


async def a_round(server: LiveServer, ana: Creator) -> dict[str, float]:
    """A viewer is banned, then the stream taken down, which another one watches."""
    await ana.command(type="live.start", room=ana.room)
    with encoder(await ana.address(), b_frames=0) as process:
        async with viewer(server, ana.room, "bob") as bob:
            began = time.monotonic()
            await ana.command(type="member.ban", room=ana.room, user="bob")
            found = {f"a banned viewer's {way}": s for way, s in (await ended(bob, 403, began, {})).items()}
        await ana.command(type="member.unban", room=ana.room, user="bob")
        async with viewer(server, ana.room, "cid") as cid:
            began = time.monotonic()
            take_down: dict[str, Any] = {"type": "live.takedown", "room": ana.room}
            answer = await ana.client.post("/v1/commands", json=take_down, headers=ROOT)
            assert answer.status_code == 200, answer.text
            ingest = until(lambda: process.poll() is not None, PATIENCE)
            taken = await ended(cid, 410, began, {"ingest": ingest})
    return found | {f"{way} of a stream that is taken down": s for way, s in taken.items()}


async def run(rounds: int) -> Found:
    found: Found = {}
    with tempfile.TemporaryDirectory() as folder, LiveServer(Path(folder)) as server:
        async with creator(server) as ana:
            for _ in range(rounds):
                for name, seconds in (await a_round(server, ana)).items():
                    found.setdefault(name, []).append(seconds)
    return found


def report(found: Found, rounds: int) -> list[str]:
    return [
        *head("What a ban and a takedown end, and when", f"python -m tests.media.stops --rounds {rounds}"),
        "",
        f"From the command to what is seen, in ms; at most {LIMIT * 1_000:.0f} are allowed.",
        "",
        "| what ends | median | most |",
        "|---|---|---|",
        *(f"| {name} | {1_000 * median(all_of):.0f} | {1_000 * max(all_of):.0f} |" for name, all_of in found.items()),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("docs/proof"))
    arguments = parser.parse_args()
    found = asyncio.run(run(arguments.rounds))
    publish(report(found, arguments.rounds), arguments.out, "stops")
    return 0 if all(max(seconds) <= LIMIT for seconds in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
