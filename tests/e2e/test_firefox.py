"""Another browser than Chromium: its WebRTC has no H.264 of its own, and offers all but the first track in sections
that are `bundle-only`.
"""

from pathlib import Path

from tests.media.networks import WATCH
from tests.support.firefox import Tab, firefox
from tests.support.live import Creator, LiveServer, creator, encoder
from tests.support.server import token

PUBLISH = """async ({address, key}) => {
  const { Publisher } = await import("/web/galaxy-live/publisher.js");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  window.publisher = new Publisher({ address, bearer: async () => key });
  publisher.on("state", ({ error }) => (window.problem = error?.message));
  publisher.start({ video: stream.getVideoTracks()[0], audio: stream.getAudioTracks()[0] });
}"""
HEARD = """(async () => {
  for (const report of (await peers.at(-1).getStats()).values()) {
    if (report.type === "inbound-rtp" && report.kind === "audio") return report.packetsReceived > 20;
  }
})()"""


def served(folder: Path) -> LiveServer:
    """At all addresses: Firefox has no candidate at the loopback interface."""
    return LiveServer(folder / "data", host="0.0.0.0")  # noqa: S104


async def at_home(tab: Tab, ana: Creator) -> None:
    """At the server's address that browsers take for safe."""
    await tab.goto(str(ana.client.base_url).replace("0.0.0.0", "127.0.0.1"))  # noqa: S104


async def watching(tab: Tab, ana: Creator, *ways: str) -> None:
    """Until something is shown."""
    await at_home(tab, ana)
    await tab.evaluate(WATCH, {"room": ana.room, "ways": ways, "token": token("bob", name="bob")})
    await tab.until("seen.length > 30")


async def test_watches_h264_without_webrtc(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with creator(server) as ana, firefox(tmp_path / "profile") as browser:
            with encoder(await ana.address(), b_frames=0):
                await ana.until("live.started")
                tab = await browser.tab()
                await watching(tab, ana, "whep", "stream", "hls")
                assert await tab.evaluate("[player.way, changes]") == ["stream", [" to stream: refused"]]
                await watching(tab, ana, "hls")
                assert await tab.evaluate("player.way") == "hls"


async def test_publishes_and_watches_vp8_with_sound(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        async with creator(server) as ana, firefox(tmp_path / "profile") as browser:
            key = (await ana.command(type="live.key", room=ana.room))["key"]
            studio, tab = await browser.tab(), await browser.tab()
            await at_home(studio, ana)
            await studio.evaluate(PUBLISH, {"address": f"/v1/rooms/{ana.room}/whip", "key": key})
            await studio.until("publisher.state === 'live'")
            await ana.until("live.started")
            await watching(tab, ana, "whep")
            await tab.until(HEARD)
            assert await studio.evaluate("[publisher.state, window.problem]") == ["live", None]
            await studio.evaluate("publisher.stop()")
            await ana.until("live.started", "live.interrupted")
