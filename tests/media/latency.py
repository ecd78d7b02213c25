"""Glass to glass: a browser streams a clock by WHIP, another one reads it off what it shows by each way of watching.

`python -m tests.media.latency --seconds 60` is the long form; it writes a dated result to `docs/proof/`. Both browsers,
the encoder, the decoder and the server share the machine, and so its clock. A way that was measured while the machine
was more than 80% busy is void.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.async_api import Page

from tests.support.browsers import WHIP, browsers, freezes
from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.reports import head, publish
from tests.support.server import token

WAYS = {"whep": 300, "stream": 1_200, "hls": 3_500}
"""What the median is to be at most, in ms."""
MOST_BUSY = 0.8
SETTLE_SECONDS = 6.0

PUBLISH = (
    "async ({url, key}) => {"
    + WHIP
    + """
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const context = canvas.getContext("2d");
  let frame = 0;
  const draw = () => {
    frame += 1;
    context.fillStyle = `hsl(${frame % 360} 60% 50%)`;
    context.fillRect(0, 100, 640, 260);
    context.fillStyle = "#fff";
    context.fillRect((frame * 7) % 600, 200, 40, 40);
    const now = Date.now();
    for (let bit = 0; bit < 16; bit++) {
      context.fillStyle = (now >> bit) & 1 ? "#fff" : "#000";
      context.fillRect(bit * 40, 0, 40, 60);
    }
  };
  setInterval(draw, 1000 / 30);
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const sound = audio.createMediaStreamDestination();
  tone.connect(sound);
  tone.start();
  const tracks = [canvas.captureStream(30).getVideoTracks()[0], sound.stream.getAudioTracks()[0]];
  await publish(tracks, url, key);
}"""
)

WATCH = """async ({room, way, token}) => {
  const { Player, roomAddresses } = await import("/web/galaxy-live/player.js");
  const video = document.createElement("video");
  document.body.replaceChildren(video);
  const addresses = { [way]: roomAddresses(room)[way] };
  const player = (window.player = new Player(video, { addresses, query: async () => ({ token }) }));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 60];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.seen = [];
  const look = (_, frame) => {
    context.drawImage(video, 0, 0, 640, 360);
    let clock = 0;
    for (let bit = 0; bit < 16; bit++) {
      if (context.getImageData(bit * 40 + 20, 30, 1, 1).data[1] > 127) clock |= 1 << bit;
    }
    window.seen.push([(Date.now() - clock) & 0xffff, performance.now(), frame.presentedFrames]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  player.start();
}"""


@dataclass
class Measured:
    """Latencies in ms."""

    way: str
    frames: int
    median_ms: float
    p95_ms: float
    freezes: int
    busy: float

    @property
    def holds(self) -> bool:
        return self.median_ms <= WAYS[self.way]


def processor() -> tuple[int, int]:
    """Busy and all ticks since the machine started (proc(5))."""
    fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


async def measured(page: Page, ana: Creator, way: str, seconds: float) -> Measured:
    await page.goto(f"{ana.client.base_url}/")
    await page.evaluate(WATCH, {"room": ana.room, "way": way, "token": token("bob", name="bob")})
    async with asyncio.timeout(PATIENCE):
        while await page.evaluate("window.seen.length") < 10:  # noqa: ASYNC110 - the page tells nobody
            await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_SECONDS)
    await page.evaluate("window.seen.length = 0")
    before = processor()
    await asyncio.sleep(seconds)
    after = processor()
    seen: list[list[float]] = await page.evaluate("window.seen")
    await page.evaluate("window.player.stop()")
    late = [one[0] for one in seen]
    return Measured(
        way,
        len(seen),
        median(late),
        quantiles(late, n=20)[-1],
        freezes([one[1] for one in seen]),
        (after[0] - before[0]) / (after[1] - before[1]),
    )


async def run(seconds: float) -> list[Measured]:
    """Each way for so long, one after the other."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data, LiveServer(Path(data)) as server:
        async with creator(server) as ana, browsers() as (publishing, watching):
            page = await publishing.new_page()
            await page.goto(f"{server.url}/")
            key = await ana.command(type="live.key", room=ana.room)
            given: dict[str, Any] = {"url": f"/v1/rooms/{ana.room}/whip", "key": key["key"]}
            await page.evaluate(PUBLISH, given)
            await ana.until("live.started")
            await (await ana.shown()).close()
            viewer = await watching.new_page()
            return [await measured(viewer, ana, way, seconds) for way in WAYS]


def report(found: list[Measured], seconds: float) -> list[str]:
    lines = [
        *head("Glass to glass", f"python -m tests.media.latency --seconds {seconds:g}"),
        "Chromium streams 640 × 360 at 30 pictures a second with a clock in them by WHIP; another one reads the clock",
        "off the pictures that it presents. Everything is on one machine of two cores.",
        "",
        "| way | pictures | median | 95% | at most (median) | freezes | machine busy |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        void = " (void)" if one.busy > MOST_BUSY else ""
        lines.append(
            f"| {one.way} | {one.frames} | {one.median_ms:.0f} ms | {one.p95_ms:.0f} ms | {WAYS[one.way]} ms"
            f" | {one.freezes} | {one.busy:.0%}{void} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    found = asyncio.run(run(args.seconds))
    publish(report(found, args.seconds), args.output, "latency")
    return 0 if all(one.holds and one.busy <= MOST_BUSY for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
