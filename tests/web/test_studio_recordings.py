"""The studio's recordings: listed, renamed, saved, unlisted, deleted."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.support.live import PATIENCE, LiveServer, encoder
from tests.support.server import NO_LIMITS
from tests.web.live import Person, looking
from tests.web.scripted import ScriptedServer
from tests.web.studio import FOCUSED, Studio
from tests.web.test_page import CONTRAST, check


def recording(number: int, **fields: Any) -> dict[str, Any]:
    base = f"/v1/rooms/r1/recordings/rec{number}"
    return {
        "id": f"rec{number}", "session": "s", "user": "ann", "title": f"Sail {number}", "state": "listed",
        "started_at": 1_700_000_000_000 + number * 86_400_000, "length_ms": 3_723_000, "bytes": 1_440_000_000,
        "width": 640, "height": 360, "parts": 1, "first_pos": 1, "hls": f"{base}/index.m3u8",
        "mp4": f"{base}/recording.mp4", "poster": f"{base}/poster.webp",
    } | fields  # fmt: skip


def items(page: Page) -> Locator:
    return page.get_by_test_id("recording-item")


def counted(page: Page, count: int) -> None:
    page.wait_for_function(
        "(count) => document.querySelectorAll('[data-testid=recording-item]').length === count", arg=count
    )


def test_a_page_at_a_time_is_shown_newest_first(page: Page, server: ScriptedServer) -> None:
    Studio(page, server, [recording(number) for number in range(18, 0, -1)])
    counted(page, 8)
    check(page)
    text = items(page).first.inner_text()
    for told in ("Sail 18", "1:02:03", "1.44 GB", "2 Dec 2023"):
        assert told in text
    page.get_by_test_id("recording-more").focus()
    page.keyboard.press("Enter")
    counted(page, 16)
    assert page.evaluate(FOCUSED) == "recording-more"
    page.keyboard.press("Enter")
    counted(page, 18)
    page.get_by_test_id("recording-more").wait_for(state="hidden")
    page.wait_for_function(f"() => ({FOCUSED})() === 'recording-toggle'")
    assert page.evaluate("() => document.activeElement.closest('li').dataset.id") == "rec2"


def test_one_is_renamed_unlisted_and_listed_by_keyboard(page: Page, server: ScriptedServer) -> None:
    Studio(page, server, [recording(2), recording(1)])
    row = items(page).first
    row.get_by_test_id("recording-edit").focus()
    page.keyboard.press("Enter")
    assert page.get_by_test_id("recording-title").input_value() == "Sail 2"
    page.get_by_test_id("recording-title").fill("<i>Best</i>")
    page.keyboard.press("Enter")
    row.get_by_text("<i>Best</i>").wait_for()
    page.wait_for_function(f"() => ({FOCUSED})() === 'recording-edit'")
    row.get_by_test_id("recording-toggle").focus()
    for state, word in (("unlisted", "owners"), ("listed", "everybody")):
        page.keyboard.press("Space")
        page.locator(f"[data-id=rec2][data-state={state}]").get_by_text(word).wait_for()
        assert page.evaluate(FOCUSED) == "recording-toggle"
    assert row.get_by_test_id("recording-toggle").get_attribute("aria-label") == "Show in the room’s list: <i>Best</i>"


def test_one_is_deleted_when_that_is_confirmed(page: Page, server: ScriptedServer) -> None:
    Studio(page, server, [recording(2), recording(1)])
    items(page).first.get_by_test_id("recording-delete").click()
    page.get_by_role("dialog").get_by_text("Sail 2").wait_for()
    check(page)
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUSED) == "recording-delete"
    counted(page, 2)
    for left in (1, 0):
        items(page).first.get_by_test_id("recording-delete").click()
        page.get_by_test_id("confirm-recording-submit").click()
        counted(page, left)
        page.wait_for_function(f"() => ({FOCUSED})() === 'H2'")
    page.get_by_test_id("recordings").get_by_text("None yet").wait_for()


def test_what_the_server_refuses_is_said_in_words_and_stays_as_it_was(page: Page, server: ScriptedServer) -> None:
    studio = Studio(page, server, [recording(1)])
    row = items(page).first
    row.get_by_test_id("recording-edit").click()
    studio.refused["recording.update"] = {"code": "blocked", "message": "That name is taken."}
    page.get_by_test_id("recording-title").fill("Taken")
    page.get_by_test_id("recording-submit").click()
    page.get_by_role("alert").get_by_text("Not allowed here: \u2068That name is taken.\u2069").wait_for()
    page.keyboard.press("Escape")
    studio.refused["recording.update"] = {"code": "unavailable"}
    row.get_by_test_id("recording-toggle").click()
    page.get_by_test_id("toast").get_by_text("The server is busy.").wait_for()
    page.wait_for_function("() => document.querySelector('[data-testid=recording-toggle]').checked")
    row.get_by_test_id("recording-download").click()
    page.get_by_test_id("toast").get_by_text("Not found.").wait_for()
    assert "Sail 1" in row.inner_text()
    assert page.url == f"{server.address}/studio/r1"


def test_a_list_that_did_not_come_is_asked_for_again(page: Page, server: ScriptedServer) -> None:
    studio = Studio(page, server, [])
    none = page.get_by_test_id("recordings").get_by_text("None yet")
    none.wait_for()
    studio.refused["recording.list"] = {"code": "unavailable"}
    studio.open()
    page.get_by_test_id("toast").get_by_text("The server is busy.").wait_for()
    assert not none.is_visible()
    del studio.refused["recording.list"]
    studio.recordings = [recording(1)]
    page.get_by_role("button", name="Try again").click()
    counted(page, 1)


def test_what_was_taken_down_can_only_be_deleted(page: Page, server: ScriptedServer) -> None:
    Studio(page, server, [recording(1, state="hidden")])
    row = items(page).first
    row.get_by_text("Taken down").wait_for()
    shown = [tool.get_attribute("data-testid") for tool in row.get_by_role("button").all()]
    assert shown == ["recording-delete"]
    assert not row.get_by_test_id("recording-toggle").is_visible()


def test_a_stream_that_ends_becomes_a_row(page: Page, server: ScriptedServer) -> None:
    studio = Studio(page, server, [recording(1)])
    counted(page, 1)
    by = {"id": "ann", "name": "Ann", "role": "owner"}
    begun = {"type": "live.started", "room": "r1", "pos": 5, "at": 0, "by": by, "session": "s", "title": "T"}
    studio.peer.send(begun)
    studio.recordings = [recording(2), recording(1)]
    studio.peer.send({"type": "live.stopped", "room": "r1", "pos": 6, "at": 0, "by": by, "reason": "stopped"})
    counted(page, 2)
    assert "Sail 2" in items(page).first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_rows_can_be_read_and_fit_a_phone(page: Page, server: ScriptedServer, theme: str) -> None:
    Studio(page, server, [recording(1, title="A sail of many words " * 4, state="hidden"), recording(2)])
    counted(page, 2)
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    ratios = dict(page.evaluate(CONTRAST, [".kept-text b", ".kept-text small", ".kept-state", ".kept .icon-button"]))
    assert {selector: ratio for selector, ratio in ratios.items() if ratio < 4.5} == {}  # WCAG 2.2, 1.4.3
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("() => document.documentElement.scrollWidth") == width
        card = page.get_by_test_id("recordings")
        assert card.evaluate("(card) => card.scrollWidth <= card.clientWidth")
        for tool in ("recording-delete", "recording-edit"):
            assert items(page).last.get_by_test_id(tool).is_visible()
    page.set_viewport_size({"width": 1280, "height": 800})


def test_each_part_of_a_real_recording_is_saved(tmp_path: Path, browser: Browser) -> None:
    with LiveServer(tmp_path, NO_LIMITS) as server:
        ana = Person(server, "ana", "Ana")
        room = ana.room("Harbour")
        with encoder(ana.address(room)):
            ana.until(room, "live.started")
            _flown(ana, room)
        ana.until(room, "live.started", "live.interrupted")
        with encoder(ana.address(room), size="640x360"):
            ana.until(room, "live.started", "live.interrupted", "live.resumed")
            _flown(ana, room)
        ana.did("live.stop", room=room)
        end = time.monotonic() + PATIENCE
        while not (recordings := ana.did("recording.list", room=room)["recordings"]):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert recordings[0]["parts"] == 2
        with looking(browser, ana) as (_, page):
            page.goto(f"{server.url}/studio/{room}")
            widths = []
            for number in (0, 1):
                page.get_by_test_id("recording-download").click()
                with page.expect_download() as saving:
                    page.get_by_test_id("recording-part").nth(number).click()
                film = tmp_path / f"{number}.mp4"
                saving.value.save_as(film)
                assert saving.value.suggested_filename.endswith(f"Z-{number + 1}.mp4")
                widths.append(_width(film))
            assert widths == [320, 640]
            page.wait_for_function("() => document.querySelector('.kept img')?.naturalWidth > 0")
            assert page.get_by_test_id("studio").is_visible()


def _flown(ana: Person, room: str) -> None:
    """Waits until a few seconds of it were streamed: what is recorded takes as long as it is."""
    begun = time.monotonic()
    while time.monotonic() < begun + 4:
        assert ana.did("live.get", room=room)["stream"]["state"] == "flowing"
        time.sleep(0.2)


def _width(film: Path) -> int:
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width", "-of", "csv=p=0"]
    return int(subprocess.run([*command, str(film)], check=True, capture_output=True, text=True).stdout)
