"""Players in a browser, whose stream's line stands still for some seconds: they wait, and go on."""

import asyncio
from pathlib import Path

import pytest

from tests.media.test_moves import goes_on, watch
from tests.support.browsers import browsers
from tests.support.line import encoding
from tests.support.live import LiveServer, creator

STALL_SECONDS = 4.0


@pytest.mark.parametrize("way", ["stream", "hls"])
async def test_a_player_goes_on_after_a_stall(tmp_path: Path, way: str) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, browsers() as (browser, _), encoding(ana) as line:
            page = await browser.new_page()
            await watch(page, ana, way)
            await goes_on(page, 30)
            changes = await page.evaluate("window.changes")
            line.stall()
            await asyncio.sleep(STALL_SECONDS)
            line.resume()
            await goes_on(page, 90)
            assert await page.evaluate("window.changes") == changes
            await ana.until("live.started")
