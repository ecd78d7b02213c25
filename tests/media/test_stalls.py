"""Players in a browser, whose stream's line stands still for some seconds: they wait, and go on."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.media.test_moves import goes_on, watch
from tests.support.browsers import browsers
from tests.support.line import Line
from tests.support.live import LiveServer, creator, encoder

STALL_SECONDS = 4.0


@pytest.mark.parametrize("way", ["stream", "hls"])
async def test_a_player_goes_on_after_a_stall(tmp_path: Path, way: str) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, browsers() as (browser, _):
            address = urlsplit(await ana.address())
            assert address.hostname is not None
            assert address.port is not None
            async with Line((address.hostname, address.port)) as line:
                with encoder(address._replace(netloc=f"127.0.0.1:{line.port}").geturl()):
                    await ana.until("live.started")
                    await (await ana.shown()).close()
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
