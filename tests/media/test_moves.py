"""A browser that comes from another port in mid-stream, as behind a router that has lost its state: it is still served,
and it is still heard. Browsers nominate what they use with every check, and answer ours.
"""

import asyncio
from pathlib import Path

from playwright.async_api import Page

from tests.media.networks import WATCH, encoding, filming, impaired_server
from tests.support.browsers import browsers
from tests.support.live import PATIENCE, Creator, creator
from tests.support.numbered import film
from tests.support.server import token


async def watch(page: Page, ana: Creator, way: str) -> None:
    await page.goto(f"{ana.client.base_url}/")
    await page.evaluate(WATCH, {"room": ana.room, "ways": [way], "token": token("bob", name="bob")})


async def goes_on(page: Page, pictures: int) -> None:
    """So many more of them are shown."""
    async with asyncio.timeout(PATIENCE):
        first = await page.evaluate("window.seen.length")
        while await page.evaluate("window.seen.length") < first + pictures:  # noqa: ASYNC110 - the page tells nobody
            await asyncio.sleep(0.1)


async def test_a_browser_watches_on(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    await asyncio.to_thread(film, path)
    async with (
        impaired_server(tmp_path / "data") as (server, relay),
        creator(server) as ana,
        encoding(ana, path),
        browsers() as (browser, _),
    ):
        page = await browser.new_page()
        await watch(page, ana, "whep")
        await goes_on(page, 10)
        changes = await page.evaluate("window.changes")
        await relay.rebind()
        await goes_on(page, 60)
        assert await page.evaluate("window.changes") == changes, "by the same session"
        assert len(await page.evaluate("window.peers")) == 1


async def test_a_browser_streams_on(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    await asyncio.to_thread(film, path)
    async with (
        impaired_server(tmp_path / "data") as (server, relay),
        creator(server) as ana,
        browsers() as (streaming, watching),
        filming(ana, path, streaming),
    ):
        page = await watching.new_page()
        await watch(page, ana, "stream")
        await goes_on(page, 10)
        await relay.rebind()
        await goes_on(page, 60)
        await ana.until("live.started")
