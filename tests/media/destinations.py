"""Two nginx-rtmp destinations of one stream, with the pauses that a server has: `python -m tests.media.destinations`.

Each round one of them is killed and, a while later, started; then it is stopped (SIGSTOP) until it is given up, and
goes on. Prints how long after it was back its file grew again, and whether the other lost a frame; the result goes to
`docs/proof/`. The form of `make test`, with shorter pauses, is in `tests/relay/push`.
"""

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path
from statistics import median

from relay.ports import Destination
from relay.push.destination import PushSettings
from tests.relay.push.nginx import NginxRtmp, nginx_rtmp
from tests.relay.push.support import GROUP, LOCAL, Source, frames, in_row, pushing
from tests.relay.rtmp.support import until
from tests.support.reports import head, publish

FRAME_BYTES = 25_000
"""6 Mbit/s."""
AWAY_SECONDS = 20.0
"""Until attempts are as rare as they become."""
LIMIT = 10.0
"""Seconds."""
FINE = "every frame in its file, never another state than `live`. Each stream began with a keyframe"


async def away(source: Source) -> None:
    await until(lambda: source.state("bad") == "retrying", 60)
    await asyncio.sleep(AWAY_SECONDS)


async def grows(server: NginxRtmp, files: int, began: float) -> float:
    """Seconds until there is more than so many recordings, the last with a second of the stream."""
    await until(
        lambda: len(server.recordings()) > files and server.recordings()[-1].stat().st_size > 30 * FRAME_BYTES, 60
    )
    return time.monotonic() - began


async def run(rounds: int) -> tuple[list[float], list[float], str]:
    """After having been killed, and stopped; and what was wrong with the other, or with where streams began."""
    killed: list[float] = []
    stopped: list[float] = []
    settings = PushSettings(networks=LOCAL)
    async with nginx_rtmp() as good, nginx_rtmp() as bad, pushing(FRAME_BYTES, settings) as (source, pushes):
        both = {"good": good, "bad": bad}
        pushes.push_to([Destination(id, id, f"rtmp://127.0.0.1:{one.port}/live/key") for id, one in both.items()])
        await grows(bad, 0, 0.0)
        for _ in range(rounds):
            files = len(bad.recordings())
            await bad.stop()
            await away(source)
            await bad.start()
            killed.append(await grows(bad, files, time.monotonic()))
            files = len(bad.recordings())
            bad.signal(signal.SIGSTOP)
            await away(source)
            bad.signal(signal.SIGCONT)
            stopped.append(await grows(bad, files, time.monotonic()))
        states = {status.state for status in source.told("good")}
        pushes.push_to([])
        await until(lambda: source.state("bad") == source.state("good") == "stopped", 60)
        [whole] = good.recordings()
        lost = source.told("good")[-1].dropped or not in_row(frames(whole.read_bytes()))
        if lost or states != {"connecting", "live"}:
            return killed, stopped, "the other destination lost something"
        for recording in bad.recordings():
            found = frames(recording.read_bytes())
            if found and found[0] % GROUP:
                return killed, stopped, "a stream did not begin with a keyframe"
    return killed, stopped, ""


def report(killed: list[float], stopped: list[float], wrong: str, rounds: int) -> list[str]:
    return [
        *head("Destinations that go and come back", f"python -m tests.media.destinations --rounds {rounds}"),
        "",
        f"Of two nginx-rtmp destinations of a stream of 6 Mbit/s one is away for {AWAY_SECONDS:.0f} s after it was",
        f"given up, {2 * rounds} times. Seconds from its coming back until it had recorded a second of the stream; at",
        f"most {LIMIT:.0f} are allowed until it resumes.",
        "",
        "| it had been | median | most |",
        "|---|---|---|",
        f"| killed, and is started | {median(killed):.1f} | {max(killed):.1f} |",
        f"| stopped (SIGSTOP), and goes on | {median(stopped):.1f} | {max(stopped):.1f} |",
        "",
        f"The other: {wrong or FINE}.",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/proof"))
    given = parser.parse_args()
    killed, stopped, wrong = asyncio.run(run(given.rounds))
    publish(report(killed, stopped, wrong, given.rounds), given.out, "destinations")
    return 1 if wrong or max(killed + stopped) > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
