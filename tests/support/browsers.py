"""Two Chromiums: one that publishes by WHIP, and one that watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from playwright.async_api import Browser, Page, async_playwright

from tests.support.live import PATIENCE

ARGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-quic", "--no-first-run"]

WHIP = """
const publish = async (tracks, url, key) => {
  const peer = (window.peer = new RTCPeerConnection());
  for (const track of tracks) peer.addTransceiver(track, { direction: "sendonly" });
  const h264 = RTCRtpSender.getCapabilities("video").codecs.filter((codec) => codec.mimeType === "video/H264");
  peer.getTransceivers()[0].setCodecPreferences(h264);
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(url, {
    method: "POST", body: peer.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` },
  });
  if (answer.status !== 201) throw new Error(await answer.text());
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
};
"""
"""Of a page: video first, in H.264."""


def freezes(times: list[float]) -> int:
    """Of pictures shown at these milliseconds: one that stood for 150 ms longer than they do in the mean, and three
    times as long (as `freezeCount` of WebRTC's statistics counts).
    """
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    return sum(gap > max(3 * mean, mean + 150) for gap in gaps)


async def until(page: Page, condition: str) -> None:
    """A condition in JavaScript. Not `wait_for_function`, which the pages' policy forbids."""
    async with asyncio.timeout(PATIENCE):
        while not await page.evaluate(condition):  # noqa: ASYNC110 - pages tell nobody
            await asyncio.sleep(0.1)


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
