"""What streams leave behind: publish, watch, leave, again and again.

`python -m tests.media.cycles --cycles 1000` is the long form; it writes a dated result to `docs/proof/`. Several rooms
go on beside each other; publishers come by RTMP (ffmpeg) and by WHIP (aiortc), viewers by fMP4, HLS and WHEP, in turns.
Of each kind of process, memory, descriptors, threads and tasks are to be what they were after a warm-up.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import httpx

from loadtest.ports import free_port
from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.reports import head, publish
from tests.support.server import NO_LIMITS
from tests.support.webrtc import publishing, watching

ROOMS = 6
KINDS = {"gateway": "galaxy_tasks", "media": "galaxy_media_tasks", "edge": "galaxy_edge_tasks"}
STREAMS = ("galaxy_media_streams", "galaxy_media_rtmp_connections", "galaxy_edge_stream_viewers")
FORGOTTEN = (*STREAMS, "galaxy_edge_streams", "galaxy_media_streams_untrimmed", "galaxy_edge_streams_untrimmed")
"""Those too that the edge keeps for a minute after their end; and until their memory has been given back."""
FORGOTTEN_SECONDS = 120.0
SETTLE_LOOKS = 50
"""Five to a second: connections that are closed go a moment later."""
MOST_GROWTH = 0.10
"""Of memory; descriptors, threads and tasks are to be the same."""


@dataclass
class Held:
    """By a process; `memory` in KiB, its share of what it shares with others (PSS)."""

    memory: int
    descriptors: int
    threads: int
    tasks: int


async def told(port: int) -> str:
    """What all processes say of themselves. `port`: the first one's for administration."""
    async with httpx.AsyncClient() as client:
        answers = [await client.get(f"http://127.0.0.1:{port + slot}/metrics") for slot in range(len(KINDS))]
    return "".join(answer.text for answer in answers)


async def held(server: LiveServer, port: int) -> dict[str, Held]:
    """By each kind of process."""
    text = await told(port)
    return {kind: of_process(server.pids(kind)[0], read(rf"^{name} (\S+)", text)) for kind, name in KINDS.items()}


def of_process(pid: int, tasks: int) -> Held:
    process = Path("/proc", str(pid))
    memory = read(r"^Pss: +(\d+)", (process / "smaps_rollup").read_text())
    return Held(memory, len(os.listdir(process / "fd")), len(os.listdir(process / "task")), tasks)


def read(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, text
    return int(float(found[1]))


def same(before: dict[str, Held], after: dict[str, Held]) -> bool:
    """No more descriptors, threads and tasks."""
    names = ("descriptors", "threads", "tasks")
    return all(asdict(after[kind])[name] <= asdict(before[kind])[name] for kind in KINDS for name in names)


def film(path: Path) -> None:
    """Small, without B-frames."""
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-bf", "0", "-c:a", "aac", "-ac", "2"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *picture, *codecs, "-t", "60", str(path)], check=True)


@asynccontextmanager
async def encoding(ana: Creator, path: Path) -> AsyncIterator[None]:
    command = ["ffmpeg", "-loglevel", "quiet", "-re", "-i", str(path), "-c", "copy", "-f", "flv", await ana.address()]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def flowing(ana: Creator) -> None:
    """The room's stream is this one, and not the one before."""
    async with asyncio.timeout(PATIENCE):
        while (await ana.command(type="live.get", room=ana.room))["stream"]["state"] != "flowing":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def watched(ana: Creator, way: int) -> None:
    """By fMP4; and by HLS or WHEP, if it is their turn."""
    await (await ana.shown()).close()
    if way == 1:
        index = await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8", follow_redirects=True)
        assert index.status_code == 200, index.text
    if way == 2:
        async with watching(ana, "viewer") as (watcher, answer):
            assert answer.status_code == 201, answer.text
            async with asyncio.timeout(PATIENCE):
                while not watcher.frames["video"]:  # noqa: ASYNC110 - the watcher tells nobody
                    await asyncio.sleep(0.02)


async def cycle(ana: Creator, number: int, path: Path) -> None:
    """A stream from its begin to its end."""
    await ana.command(type="live.start", room=ana.room)
    async with encoding(ana, path) if number % 2 else publishing(ana) as published:
        assert published is None or published.status_code == 201, published.text
        await flowing(ana)
        await watched(ana, number // 2 % 3)
        await ana.command(type="live.stop", room=ana.room)


async def cycles(server: LiveServer, total: int, path: Path) -> None:
    """So many, in so many rooms beside each other; each room's numbers follow each other."""
    numbers = count()

    async def one(user: str) -> None:
        async with creator(server, user) as ana:
            while (number := next(numbers)) < total:
                await cycle(ana, number, path)

    async with asyncio.TaskGroup() as rooms:
        for number in range(ROOMS):
            rooms.create_task(one(f"creator-{number}"))


async def over(port: int, names: Sequence[str]) -> None:
    """Waits until none of these are there."""
    async with asyncio.timeout(FORGOTTEN_SECONDS):
        while sum(there(await told(port), names)):  # noqa: ASYNC110 - the processes tell nobody
            await asyncio.sleep(0.2)


def there(text: str, names: Sequence[str]) -> list[int]:
    return [read(rf"^{name} (\S+)", text) for name in names]


async def settled(server: LiveServer, port: int, wanted: dict[str, Held]) -> dict[str, Held]:
    """As soon as no more is held than wanted; or what is held after a while."""
    found = await held(server, port)
    for _ in range(SETTLE_LOOKS):
        if same(wanted, found):
            break
        await asyncio.sleep(0.2)
        found = await held(server, port)
    return found


async def run(warm: int, total: int, gone: Sequence[str] = STREAMS) -> tuple[dict[str, Held], dict[str, Held]]:
    """What is held after the warm-up and after all cycles, each time when none of `gone` are there any more."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        path, port = Path(place, "film.flv"), free_port()
        await asyncio.to_thread(film, path)
        settings = NO_LIMITS | {"GALAXY_SERVER__ADMIN_PORT": str(port)}
        with LiveServer(Path(place, "data"), settings) as server:
            fresh = await held(server, port)
            await cycles(server, warm, path)
            await over(port, gone)
            before = await settled(server, port, fresh)
            await cycles(server, total, path)
            await over(port, gone)
            return before, await settled(server, port, before)


def report(before: dict[str, Held], after: dict[str, Held], warm: int, total: int) -> list[str]:
    lines = [
        *head("What streams leave behind", f"python -m tests.media.cycles --cycles {total}"),
        f"After {warm} cycles of publishing, watching and leaving, and after {total} more, {ROOMS} at a time.",
        "",
        "| process | memory (PSS) | descriptors | threads | tasks |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        one, other = before[kind], after[kind]
        memory = f"{one.memory / 1024:.1f} → {other.memory / 1024:.1f} MiB"
        rest = " | ".join(f"{asdict(one)[n]} → {asdict(other)[n]}" for n in ("descriptors", "threads", "tasks"))
        lines.append(f"| {kind} | {memory} | {rest} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1_000)
    parser.add_argument("--warm", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    before, after = asyncio.run(run(args.warm, args.cycles, FORGOTTEN))
    publish(report(before, after, args.warm, args.cycles), args.output, "cycles")
    grown = any(after[kind].memory > before[kind].memory * (1 + MOST_GROWTH) for kind in KINDS)
    return 0 if same(before, after) and not grown else 1


if __name__ == "__main__":
    sys.exit(main())
