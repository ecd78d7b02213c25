"""WHEP over networks that lose, delay and reorder: what a viewer sees, and what becomes of it.

`python -m tests.media.networks --seconds 30` is the long form; it writes a dated result to `docs/proof/`. ffmpeg
publishes a film by RTMP whose pictures show their numbers; Chromium watches with the player of the pages. A picture of
each second is compared with the film's own.
"""

import argparse
import asyncio
import base64
import io
import math
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from playwright.async_api import Page

from tests.media.latency import browsers, freezes
from tests.support.impaired import Condition, Impaired
from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.server import token

WIDTH, HEIGHT = 640, 360
BITS, SIDE = 9, 40
FILM_SECONDS = 16
FRAMES = 30 * FILM_SECONDS
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

WATCH = """async ({room, token}) => {
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
  const addresses = roomAddresses(room);
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
    """`freezes` as in `tests.media.latency`, `longest` in seconds: of what was shown, by whichever way. `freeze_count`:
    WebRTC's own. PSNR in dB: the mean and the least of `samples` pictures, of luma.
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


def film(path: Path) -> None:
    """Of 480 pictures without B-frames at 1.5 Mbit/s; the number of each is in its first row, lowest bit first. It can
    be looped.
    """
    boxes = [f"drawbox=x=0:y=0:w={BITS * SIDE}:h={SIDE}:color=black:t=fill"]
    for bit in range(BITS):
        lit = f"enable='gte(mod(n/{1 << bit},2),1)'"
        boxes.append(f"drawbox=x={bit * SIDE}:y=0:w={SIDE}:h={SIDE}:color=white:t=fill:{lit}")
    picture = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=30,{','.join(boxes)}"
    sound = f"sine=sample_rate=48000,atrim=end_sample={48_000 * FILM_SECONDS - 1024}"
    rate = ["-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k", "-g", "60", "-bf", "0"]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", *rate, "-c:a", "aac", "-ac", "2"]
    colours = [word for name in ("colorspace", "color_primaries", "color_trc") for word in (f"-{name}", "smpte170m")]
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *codecs, *colours, "-t", str(FILM_SECONDS), str(path)]
    subprocess.run(command, check=True)


def luma(frame: av.VideoFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """0 to 255, of whatever format."""
    rgb = frame.to_ndarray(format="rgb24").astype(float)
    weighed: np.ndarray[Any, np.dtype[np.float64]] = rgb @ np.array([0.299, 0.587, 0.114])
    return weighed


def pictures(path: Path) -> list[np.ndarray[Any, Any]]:
    """A film's, by number."""
    with av.open(str(path), "r") as container:
        return [luma(frame).astype(np.uint8) for frame in container.decode(video=0)]


def number(picture: np.ndarray[Any, Any]) -> int:
    return sum(1 << bit for bit in range(BITS) if picture[SIDE // 2, bit * SIDE + SIDE // 2] > 127)


def psnr(png: str, reference: Sequence[np.ndarray[Any, Any]]) -> float:
    """In dB, of a picture as the browser shows it, against the one of its number."""
    with av.open(io.BytesIO(base64.b64decode(png)), "r", format="png_pipe") as container:
        shown = luma(next(container.decode(video=0)))
    error = float(((shown - reference[number(shown) % len(reference)]) ** 2).mean())
    return 10 * math.log10(255**2 / max(error, 1e-3))


async def watched(page: Page, ana: Creator, relay: Impaired, network: str, seconds: float) -> dict[str, Any]:
    """What the page has kept after so long over such a network; it is one where nothing is lost until it plays."""
    relay.condition = Condition()
    await page.goto(f"{ana.client.base_url}/")
    await page.evaluate(WATCH, {"room": ana.room, "token": token("bob", name="bob")})
    async with asyncio.timeout(PATIENCE):
        while await page.evaluate("window.seen.length") < 10:  # noqa: ASYNC110 - the page tells nobody
            await asyncio.sleep(0.1)
    assert await page.evaluate("window.player.way") == "whep"
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
    after = await page.evaluate(STATISTICS)
    found: dict[str, Any] = await page.evaluate("({ seen, pictures, changes, way: player.way })")
    await page.evaluate("window.player.stop()")
    relay.condition = Condition()
    return found | {"freeze_count": after.get("freezeCount", 0) - before.get("freezeCount", 0)}


def row(network: str, found: dict[str, Any], reference: Sequence[np.ndarray[Any, Any]]) -> Row:
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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
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


async def run(seconds: float, networks: Sequence[str] = tuple(ROWS)) -> list[Row]:
    """Each network for so long, one after the other."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        path = Path(place, "film.mp4")
        await asyncio.to_thread(film, path)
        reference = await asyncio.to_thread(pictures, path)
        assert len(reference) == FRAMES
        async with (
            impaired_server(Path(place, "data")) as (server, relay),
            creator(server) as ana,
            browsers() as (_, watching),
            encoding(ana, path),
        ):
            rows = []
            for network in networks:
                page = await watching.new_page()
                found = await watched(page, ana, relay, network, seconds)
                await page.close()
                rows.append(await asyncio.to_thread(row, network, found, reference))
            return rows


def report(found: list[Row], seconds: float) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    lines = [
        "# WHEP over bad networks",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip()}, "
        f"`python -m tests.media.networks --seconds {seconds:g}`.",
        "ffmpeg publishes 640 × 360 at 30 pictures a second and 1.5 Mbit/s by RTMP, a keyframe every two seconds;",
        "Chromium watches through a relay that loses and delays in both directions. PSNR is of luma, against the film.",
        "",
        "| network | pictures | freezes (by WebRTC's count) | longest | PSNR, mean and least | of | way at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        changed = f" ({'; '.join(one.changes)})" if len(one.changes) > 1 else ""
        lines.append(
            f"| {one.network} | {one.frames} | {one.freezes} ({one.freeze_count}) | {one.longest:.1f} s"
            f" | {one.psnr:.1f}, {one.least:.1f} dB | {one.samples} | {one.way}{changed} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    text = report(asyncio.run(run(args.seconds)), args.seconds)
    print(text)
    (args.output / f"{datetime.now(UTC):%Y-%m-%d}-networks.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
