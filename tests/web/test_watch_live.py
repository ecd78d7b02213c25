"""An encoder's stream on the room's page, by each way of watching, through a whole server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.live import LiveServer, encoder
from tests.support.server import NO_LIMITS
from tests.web.live import Person, frames, looking


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, NO_LIMITS) as server:
        yield server


def plays(page: Page, way: str) -> None:
    """By this way, on and on: each way begins its count of frames anew."""
    page.locator(f"[data-testid=stage][data-state=playing][data-way={way}]").wait_for()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    frames(page)
    page.wait_for_function("() => /^[\\d.]+ s$/.test(document.querySelector('[data-testid=latency]').textContent)")


def choose(page: Page, way: str) -> None:
    page.get_by_test_id("stage").focus()
    page.get_by_test_id("ways").focus()
    page.keyboard.press("Enter")
    page.get_by_test_id(f"way-{way}").click()


def test_each_way_plays_and_is_changed_by_hand(server: LiveServer, browser: Browser) -> None:
    ana, ben = Person(server, "ana", "Ana"), Person(server, "ben", "Ben")
    room = ana.room("Harbour")
    with encoder(ana.address(room), b_frames=0), looking(browser, ben) as (_, page):
        ana.until(room, "live.started")
        page.goto(f"{server.url}/room/{room}")
        plays(page, "whep")
        for way in ("stream", "hls", "whep"):
            choose(page, way)
            plays(page, way)
        ana.did("live.stop", room=room)
        page.get_by_test_id("offline").wait_for()


def test_falls_to_the_websocket_where_the_encoder_has_b_frames(server: LiveServer, browser: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Frames")
    with encoder(ana.address(room)), looking(browser, ana) as (_, page):
        ana.until(room, "live.started")
        page.goto(f"{server.url}/room/{room}")
        plays(page, "stream")
