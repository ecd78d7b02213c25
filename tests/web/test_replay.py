"""A recording on the room's page, with what was said at the moment it was."""

import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.live import PATIENCE, LiveServer, encoder
from tests.support.server import NO_LIMITS
from tests.web.live import Person, frames, looking
from tests.web.test_page import UNLABELLED

LOG = """async (last) => {
  const { ReplayLog } = await import("/web/watch/replay_log.js");
  const message = (pos) => ({ by: { id: "b" }, message: { text: `m${pos}` } });
  const made = (pos) => ({ type: "message.created", pos, at: pos * 1000, ...message(pos) });
  const all = Array.from({ length: last }, (_, index) => made(index + 1));
  all[9] = { type: "message.deleted", pos: 10, at: 10_000, target: 7 };
  window.asked = 0;
  const fetch = async ({ after, limit }) => {
    window.asked += 1;
    const from = after ?? last - limit;
    return { events: all.slice(from, from + limit), more: from + limit < last };
  };
  window.replay = new ReplayLog(fetch, { first_pos: 3, last_pos: last - 5 });
}"""
TEXTS = "async (time) => (await window.replay.at(time)).map(({ text }) => text)"


def test_a_log_is_shown_up_to_the_moment_and_leaps_are_looked_up(page: Page) -> None:
    page.evaluate(LOG, 20_000)
    assert page.evaluate(TEXTS, 5_500) == ["m3", "m4", "m5"]
    assert page.evaluate(TEXTS, 12_000) == [f"m{pos}" for pos in (3, 4, 5, 6, 8, 9, 11, 12)]
    before = page.evaluate("() => window.asked")
    far = page.evaluate(TEXTS, 15_000_000)
    assert far[-1] == "m15000"
    assert len(far) == 200
    assert page.evaluate("() => window.asked") - before < 20
    back = page.evaluate(TEXTS, 5_000_000)
    assert back[-1] == "m5000"
    assert len(back) == 200
    assert page.evaluate(TEXTS, 30_000_000)[-1] == "m19995"
    assert page.evaluate(TEXTS, 4_000) == ["m3", "m4"]


def test_a_recording_is_played_with_its_comments(tmp_path: Path, browser: Browser) -> None:
    with LiveServer(tmp_path, NO_LIMITS) as server:
        ana = Person(server, "ana", "Ana")
        room = ana.room("Harbour")
        with encoder(ana.address(room)):
            ana.until(room, "live.started")
            begun = time.monotonic()
            ana.did("message.send", room=room, text="early <i>bird</i>", key="m1")
            while time.monotonic() < begun + 8:  # what is recorded takes as long as it is
                time.sleep(0.1)
            ana.did("message.send", room=room, text="late", key="m2")
            while time.monotonic() < begun + 11:
                time.sleep(0.1)
            ana.did("live.stop", room=room)
        end = time.monotonic() + PATIENCE
        while not ana.did("recording.list", room=room)["recordings"]:
            assert time.monotonic() < end
            time.sleep(0.1)
        ana.did("message.send", room=room, text="afterwards", key="m3")
        with looking(browser, ana) as (_, page):
            page.goto(f"{server.url}/room/{room}")
            page.get_by_test_id("offline").wait_for()
            page.get_by_test_id("recording").focus()
            page.keyboard.press("Enter")
            page.locator("[data-testid=stage][data-state=playing][data-way=recording]").wait_for()
            frames(page, 10)
            said = page.get_by_test_id("replay-comment")
            page.evaluate("() => document.querySelector('video').pause()")
            seek = page.get_by_test_id("seek")
            seek.fill("4")
            page.wait_for_function("() => document.querySelectorAll('[data-testid=replay-comment]').length === 1")
            assert "early <i>bird</i>" in said.inner_text()
            assert page.evaluate(UNLABELLED) == []
            seek.fill(seek.get_attribute("max") or "")
            page.wait_for_function("() => document.querySelectorAll('[data-testid=replay-comment]').length === 2")
            page.set_viewport_size({"width": 390, "height": 844})
            assert page.evaluate("() => document.documentElement.scrollWidth") == 390
            page.get_by_test_id("replay-back").click()
            page.get_by_test_id("offline").wait_for()
            assert page.get_by_test_id("composer-input").is_visible()
