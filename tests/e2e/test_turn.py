"""Pages that reach no UDP port of ours stream and watch by coturn, with the credentials that we give them."""

from pathlib import Path

from playwright.async_api import Browser, Page

from tests.media.networks import WATCH
from tests.support.browsers import browsers, until
from tests.support.coturn import SECRET, coturn
from tests.support.live import Creator, LiveServer, creator
from tests.support.server import token

RELAYED = """
const Peer = window.RTCPeerConnection;
window.made = [];
window.RTCPeerConnection = class extends Peer {
  constructor(given) {
    super({ ...given, iceTransportPolicy: "relay" });
    window.made.push(this);
  }
};
"""
"""Nothing goes to us but by a relay."""
PUBLISH = """async ({address, key}) => {
  const { Publisher } = await import("/web/galaxy-live/publisher.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  let frame = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${++frame % 360} 60% 50%)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 1000 / 30);
  window.publisher = new Publisher({ address, bearer: async () => key });
  publisher.start({ video: canvas.captureStream(30).getVideoTracks()[0] });
}"""
PAIR = """async () => {
  const reports = await window.made.at(-1).getStats();
  const pair = [...reports.values()].find((one) => one.type === "candidate-pair" && one.nominated);
  return reports.get(pair.localCandidateId).candidateType;
}"""


async def relayed(browser: Browser, ana: Creator) -> Page:
    page = await browser.new_page()
    await page.add_init_script(RELAYED)
    await page.goto(f"{ana.client.base_url}/")
    return page


async def test_pages_stream_and_watch_by_coturn(tmp_path: Path) -> None:
    async with coturn(tmp_path) as turn, browsers() as (first, second):
        settings = {"GALAXY_RELAY__TURN_URL": turn, "GALAXY_RELAY__TURN_SECRET": SECRET}
        with LiveServer(tmp_path / "data", settings) as server:
            async with creator(server) as ana:
                studio = await relayed(first, ana)
                watch = await relayed(second, ana)
                key = (await ana.command(type="live.key", room=ana.room))["key"]
                await studio.evaluate(PUBLISH, {"address": f"/v1/rooms/{ana.room}/whip", "key": key})
                await until(studio, "publisher.state === 'live'")
                await ana.until("live.started")
                whep = {"room": ana.room, "ways": ["whep"], "token": token("bob", name="bob")}
                await watch.evaluate(WATCH, whep)
                await until(watch, "seen.length > 30")
                assert await studio.evaluate(PAIR) == "relay"
                assert await watch.evaluate(PAIR) == "relay"
