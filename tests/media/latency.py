"""Glass to glass: a browser streams a clock by WHIP, another one reads it off what it shows by each way of watching.

`python -m tests.media.latency --seconds 60` is the long form; it writes a dated result to `docs/proof/`. Both browsers,
the encoder, the decoder and the server share the machine, and so its clock. A way that was measured while the machine
was more than 80% busy is void.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from tests.support.live import PATIENCE, Creator, LiveServer, creator
from tests.support.server import token

WAYS = {"whep": 300, "stream": 1_200, "hls": 3_500}
"""What the median is to be at most, in ms."""
MOST_BUSY = 0.8
SETTLE_SECONDS = 6.0
ARGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-quic", "--no-first-run"]

PUBLISH = """async ({url, key}) => {
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
  const peer = (window.peer = new RTCPeerConnection());
  peer.addTransceiver(canvas.captureStream(30).getVideoTracks()[0], { direction: "sendonly" });
  peer.addTransceiver(sound.stream.getAudioTracks()[0], { direction: "sendonly" });
  const h264 = RTCRtpSender.getCapabilities("video").codecs.filter((codec) => codec.mimeType === "video/H264");
  peer.getTransceivers()[0].setCodecPreferences(h264);
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(url, {
    method: "POST", body: peer.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` },
  });
  if (answer.status !== 201) throw new Error(await answer.text());
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}"""

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
    """Latencies in ms; a freeze is a picture that stood for 150 ms longer than pictures do in the mean, and three times
    as long (as `freezeCount` of WebRTC's statistics counts).
    """

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


def freezes(times: list[float]) -> int:
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    return sum(gap > max(3 * mean, mean + 150) for gap in gaps)


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


@asynccontextmanager
async def browsers() -> AsyncIterator[tuple[Browser, Browser]]:
    async with async_playwright() as playwright:
        first = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        second = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        try:
            yield first, second
        finally:
            await first.close()
            await second.close()


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


def report(found: list[Measured], seconds: float) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    lines = [
        "# Glass to glass",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.strip()}, "
        f"`python -m tests.media.latency --seconds {seconds:g}`.",
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
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    found = asyncio.run(run(args.seconds))
    text = report(found, args.seconds)
    print(text)
    (args.output / f"{datetime.now(UTC):%Y-%m-%d}-latency.md").write_text(text, encoding="utf-8")
    return 0 if all(one.holds and one.busy <= MOST_BUSY for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
