"""Streams on one of two machines, in two media processes there: viewers of the other one are sent to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from loadtest.ports import free_port
from tests.support.browsers import ARGS
from tests.support.cluster import Cluster
from tests.support.live import PATIENCE, Creator, creator, encoder
from tests.support.postgres import PostgresServer
from tests.support.server import SECRET, ServerProcess, token
from tests.support.webrtc import watching

STREAMS = 4
PLAY = """async ({room, way, token}) => {
  const { Player, roomAddresses } = await import("/web/galaxy-live/player.js");
  const video = (window.video = document.createElement("video"));
  document.body.replaceChildren(video);
  new Player(video, { addresses: { [way]: roomAddresses(room)[way] }, query: async () => ({ token }) }).start();
}"""


def environment(number: int, processes: int) -> dict[str, str]:
    edge = free_port()
    return {
        "GALAXY_RELAY__PROCESSES": str(processes),
        "GALAXY_RELAY__RTMP_PORT": "0",
        "GALAXY_RELAY__UDP_PORT": "0",
        "GALAXY_RELAY__EDGE_PORT": str(edge),
        "GALAXY_RELAY__EDGE_URL": f"http://edge{number}.galaxy.localhost:{edge}",
        "GALAXY_RELAY__FREE_MEGABYTES": "1",
        "GALAXY_SECRETS__KEY": SECRET,
        "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
    }


async def played_from(node: ServerProcess, page: Page, ana: Creator, edge: str) -> None:
    """By HLS and by fMP4, in a browser that has its page from the node."""
    headers = {"Authorization": ana.client.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=node.url, headers=headers, timeout=PATIENCE) as client:
        async with asyncio.timeout(PATIENCE):
            address = ""
            while not address.startswith(edge):
                answer = await client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")
                address = answer.headers.get("location", "")
    for way in ("stream", "hls"):
        await page.goto(f"{node.url}/")
        given = {"room": ana.room, "way": way, "token": token("bob", name="bob")}
        await page.evaluate(PLAY, given)
        await page.wait_for_function("() => window.video.currentTime > 1", timeout=PATIENCE * 1_000)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.mark.timeout(180)
async def test_viewers_of_another_node_are_sent_to_the_streams_and_recordings(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    environments = [environment(1, 2), environment(2, 1)]
    with ExitStack() as encoders, Cluster(tmp_path, postgres, environments=environments) as cluster:
        one, other = cluster.nodes
        async with AsyncExitStack() as stack, chromium() as browser:
            creators = [await stack.enter_async_context(creator(one, f"ana{number}")) for number in range(STREAMS)]
            for ana in creators:
                encoders.enter_context(encoder(await ana.address(), b_frames=0))
            for ana in creators:
                await ana.until("live.started")
            for ana in creators:
                await played_from(other, await browser.new_page(), ana, environments[0]["GALAXY_RELAY__EDGE_URL"])
            first = creators[0]
            async with watching(first, "bob") as (_, answer):
                assert answer.status_code == 201, answer.text
            async with httpx.AsyncClient(base_url=other.url, headers=first.client.headers, timeout=PATIENCE) as client:
                refused = await client.post(
                    f"/v1/rooms/{first.room}/whep", content="v=0", headers={"Content-Type": "application/sdp"}
                )
                assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
                encoders.close()
                await first.command(type="live.stop", room=first.room)
                (recording,) = await first.recordings()
                for node in (client, first.client):
                    replay = await node.get(recording["hls"])
                    assert replay.headers["location"].startswith(environments[0]["GALAXY_RELAY__EDGE_URL"])
