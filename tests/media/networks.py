"""WebRTC over networks that lose, delay and reorder: what a viewer sees, and what becomes of it.

`python -m tests.media.networks --seconds 30` is the long form; it writes a dated result to `docs/proof/`. ffmpeg
publishes a film by RTMP, whose pictures show their numbers, and Chromium watches with the player of the pages over such
a network; then Chromium publishes the film by WHIP over it. A picture of each second is compared with the film's own.
"""

import argparse
import asyncio
import base64
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from playwright.async_api import Browser, Page

from loadtest.ports import free_port
from tests.support.browsers import WHIP, browsers, freezes, until
from tests.support.impaired import Condition, Impaired
from tests.support.live import Creator, LiveServer, creator
from tests.support.numbered import FRAMES, Picture, film, pictures, psnr
from tests.support.reports import head, publish
from tests.support.server import token

SETTLE_SECONDS = 3.0
BLACKOUT_SECONDS = 3.0
ROWS = {
    "nothing": Condition(),
    "50 ± 20 ms": Condition(0, 0.05, 0.02),
    "1% lost, 50 ± 20 ms": Condition(0.01, 0.05, 0.02),
    "5% lost, 50 ± 20 ms": Condition(0.05, 0.05, 0.02),
    "10% lost, 50 ± 20 ms": Condition(0.10, 0.05, 0.02),
    "20% lost, 50 ± 20 ms": Condition(0.20, 0.05, 0.02),
    "50 ± 20 ms, out of order": Condition(0, 0.05, 0.02, reorders=True),
    "blackout of 3 s": Condition(),
}
BLACKOUT = "blackout of 3 s"
OF_PUBLISHERS = tuple(network for network in ROWS if "20%" not in network)

PUBLISH = (
    "async ({url, key, film}) => {"
    + WHIP
    + """
  const bytes = Uint8Array.from(atob(film), (one) => one.charCodeAt(0));
  const video = document.createElement("video");
  document.body.replaceChildren(video);
  Object.assign(video, { muted: true, loop: true, src: URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })) });
  await video.play();
  await publish(video.captureStream().getVideoTracks().slice(0, 1), url, key);
}"""
)

WATCH = """async ({room, ways, token}) => {
  const { Player, roomAddresses } = await import("/web/galaxy-live/player.js");
  const video = document.createElement("video");
  document.body.replaceChildren(video);
  const Peer = window.RTCPeerConnection;
  window.peers = [];
  window.RTCPeerConnection = class extends Peer {
    constructor(...given) {
      super(...given);
      window.peers.push(this);
    }
  };
  const addresses = Object.fromEntries(ways.map((way) => [way, roomAddresses(room)[way]]));
  const player = (window.player = new Player(video, { addresses, query: async () => ({ token }) }));
  window.changes = [];
  player.on("change", ({ way, from, reason }) => window.changes.push(`${from ?? ""} to ${way}: ${reason ?? ""}`));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  [window.seen, window.pictures, window.sampled] = [[], [], 0];
  const look = () => {
    const now = performance.now();
    window.seen.push(now);
    if (now - window.sampled > 1_000) {
      window.sampled = now;
      context.drawImage(video, 0, 0, 640, 360);
      window.pictures.push(canvas.toDataURL("image/png").split(",")[1]);
    }
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  player.start();
}"""
STATISTICS = """async () => {
  for (const peer of window.peers) {
    for (const report of (await peer.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "video") window.report = report;
    }
  }
  return { ...window.report };
}"""


@dataclass
class Row:
    """`freezes` as by `tests.support.browsers`, `longest` in seconds: of what was shown, by whichever way.
    `freeze_count`: WebRTC's own. PSNR in dB: the mean and the least of `samples` pictures, of luma.
    """

    network: str
    frames: int
    freezes: int
    longest: float
    freeze_count: int
    psnr: float
    least: float
    samples: int
    way: str
    changes: list[str]


async def watched(
    page: Page, ana: Creator, relay: Impaired, network: str, seconds: float, ways: Sequence[str], enough: str
) -> dict[str, Any]:
    """What the page has kept after so long over such a network, and until `enough`, a condition in JavaScript, holds;
    the first of `ways` to begin with. Nothing is lost until it plays.
    """
    relay.condition = Condition()
    await page.goto(f"{ana.client.base_url}/")
    await page.evaluate(WATCH, {"room": ana.room, "ways": ways, "token": token("bob", name="bob")})
    await until(page, "window.seen.length >= 10")
    assert await page.evaluate("window.player.way") == ways[0]
    relay.condition = ROWS[network]
    await asyncio.sleep(SETTLE_SECONDS)
    before = await page.evaluate(STATISTICS)
    await page.evaluate("window.seen.length = window.pictures.length = 0")
    if network == BLACKOUT:
        await asyncio.sleep(seconds / 3)
        relay.condition = Condition(loss=1.0)
        await asyncio.sleep(BLACKOUT_SECONDS)
        relay.condition = ROWS[network]
        seconds = seconds * 2 / 3 - BLACKOUT_SECONDS
    await asyncio.sleep(seconds)
    await until(page, enough)
    after = await page.evaluate(STATISTICS)
    found: dict[str, Any] = await page.evaluate("({ seen, pictures, changes, way: player.way })")
    await page.evaluate("window.player.stop()")
    relay.condition = Condition()
    return found | {"freeze_count": after.get("freezeCount", 0) - before.get("freezeCount", 0)}


def row(network: str, found: dict[str, Any], reference: Sequence[Picture]) -> Row:
    times: list[float] = found["seen"]
    values = [psnr(png, reference) for png in found["pictures"]]
    longest = max(b - a for a, b in pairwise(times)) / 1_000
    mean = sum(values) / len(values)
    return Row(
        network, len(times), freezes(times), longest, found["freeze_count"], mean, min(values), len(values),
        found["way"], found["changes"],
    )  # fmt: skip


@asynccontextmanager
async def impaired_server(data: Path) -> AsyncIterator[tuple[LiveServer, Impaired]]:
    """Clients are told that its UDP port is at another address, which is the relay's."""
    port = free_port()
    settings = {"GALAXY_RELAY__UDP_PORT": str(port), "GALAXY_RELAY__PUBLIC_ADDRESSES": "127.0.0.2"}
    with LiveServer(data, settings) as server:
        async with Impaired(("127.0.0.2", port), ("127.0.0.1", port)) as relay:
            yield server, relay


@asynccontextmanager
async def encoding(ana: Creator, path: Path) -> AsyncIterator[None]:
    """A film again and again, by RTMP."""
    command = ["ffmpeg", "-loglevel", "quiet", "-re", "-stream_loop", "-1", "-i", str(path), "-c", "copy", "-f", "flv"]
    process = await asyncio.create_subprocess_exec(*command, await ana.address(), stdin=subprocess.DEVNULL)
    try:
        await ana.until("live.started")
        await (await ana.shown()).close()
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def filming(ana: Creator, path: Path, browser: Browser) -> AsyncIterator[None]:
    """A film again and again, by a browser's WHIP."""
    page = await browser.new_page()
    await page.goto(f"{ana.client.base_url}/")
    key = (await ana.command(type="live.key", room=ana.room))["key"]
    film = base64.b64encode(await asyncio.to_thread(path.read_bytes)).decode()
    await page.evaluate(PUBLISH, {"url": f"/v1/rooms/{ana.room}/whip", "key": key, "film": film})
    await ana.until("live.started")
    await (await ana.shown()).close()
    yield
    await page.close()


async def run(
    seconds: float,
    networks: Sequence[str] = tuple(ROWS),
    *,
    publisher: bool = False,
    enough: Mapping[str, str] = MappingProxyType({}),
) -> list[Row]:
    """Each network for so long and until what is `enough` of it, one after the other: between server and viewer, or
    between `publisher` and server; then the viewer takes fMP4, of which nothing is lost.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        path = Path(place, "film.mp4")
        await asyncio.to_thread(film, path)
        reference = await asyncio.to_thread(pictures, path)
        assert len(reference) == FRAMES
        async with (
            impaired_server(Path(place, "data")) as (server, relay),
            creator(server) as ana,
            browsers() as (publishing, watching),
            filming(ana, path, publishing) if publisher else encoding(ana, path),
        ):
            rows = []
            for network in networks:
                page = await watching.new_page()
                ways = ["stream"] if publisher else ["whep", "stream", "hls"]
                found = await watched(page, ana, relay, network, seconds, ways, enough.get(network, "true"))
                await page.close()
                rows.append(await asyncio.to_thread(row, network, found, reference))
            return rows


def table(found: list[Row]) -> list[str]:
    lines = [
        "| network | pictures | freezes (by WebRTC's count) | longest | PSNR, mean and least | of | way at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        changed = f" ({'; '.join(one.changes)})" if len(one.changes) > 1 else ""
        lines.append(
            f"| {one.network} | {one.frames} | {one.freezes} ({one.freeze_count}) | {one.longest:.1f} s"
            f" | {one.psnr:.1f}, {one.least:.1f} dB | {one.samples} | {one.way}{changed} |"
        )
    return lines


def report(viewers: list[Row], publishers: list[Row], seconds: float) -> list[str]:
    return [
        *head("Bad networks", f"python -m tests.media.networks --seconds {seconds:g}"),
        "A relay loses and delays in both directions. PSNR is of luma, a picture a second, against the film.",
        "",
        "## Between server and viewer",
        "",
        "ffmpeg publishes 640 × 360 at 30 pictures a second and 1.5 Mbit/s by RTMP, a keyframe every two seconds;",
        "Chromium watches by WHEP first.",
        "",
        *table(viewers),
        "",
        "## Between publisher and server",
        "",
        "Chromium publishes the same film by WHIP; another one watches by fMP4, of which nothing is lost.",
        "",
        *table(publishers),
    ]


async def both(seconds: float) -> tuple[list[Row], list[Row]]:
    return await run(seconds), await run(seconds, OF_PUBLISHERS, publisher=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    publish(report(*asyncio.run(both(args.seconds)), args.seconds), args.output, "networks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
