"""The recordings on a room's page: a page at a time, and the one that an address names."""

from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web.scripted import ScriptedServer
from tests.web.studio import FOCUSED, Studio
from tests.web.test_page import check
from tests.web.test_studio_recordings import recording

PAGE = 12


class Room(Studio):
    """The page of the same room, where nothing is streamed."""

    path, shown = "/room/r1", "offline"


def many(count: int) -> list[dict[str, Any]]:
    return [recording(number) for number in range(count, 0, -1)]


def listed(page: Page, ids: Sequence[str]) -> None:
    """Waits until these are shown, in this order."""
    shown = "[...document.querySelectorAll('[data-testid=recording]')].map((row) => row.dataset.id).join()"
    page.wait_for_function(f"(ids) => {shown} === ids", arg=",".join(ids))


def ids(first: int, last: int) -> list[str]:
    return [f"rec{number}" for number in range(first, last - 1, -1)]


def test_more_are_shown_a_page_at_a_time_and_the_focus_stays(page: Page, server: ScriptedServer) -> None:
    Room(page, server, many(PAGE + 15))
    listed(page, ids(27, 16))
    check(page)
    page.evaluate("() => (document.querySelector('[data-id=rec27]').dataset.kept = '1')")
    more = page.get_by_test_id("recording-more")
    more.focus()
    page.keyboard.press("Enter")
    listed(page, ids(27, 4))
    assert page.evaluate(FOCUSED) == "recording-more"
    assert page.locator("[data-id=rec27][data-kept='1']").count() == 1, "what was shown stays as it is"
    page.keyboard.press("Enter")
    listed(page, ids(27, 1))
    more.wait_for(state="hidden")
    page.wait_for_function("() => document.activeElement.dataset.id === 'rec3'")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("() => document.documentElement.scrollWidth") == width
    page.set_viewport_size({"width": 1280, "height": 800})


def test_one_page_has_no_more(page: Page, server: ScriptedServer) -> None:
    Room(page, server, many(PAGE))
    listed(page, ids(12, 1))
    assert not page.get_by_test_id("recording-more").is_visible()


def test_an_address_finds_an_old_one(page: Page, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "path", "/room/r1#recording/rec7")
    monkeypatch.setattr(Room, "shown", "replay-title")
    Room(page, server, many(230))
    assert page.get_by_test_id("replay-title").inner_text() == "Sail 7"
    listed(page, ids(230, 1))


def test_an_address_of_none_shows_the_room(page: Page, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "path", "/room/r1#recording/none")
    Room(page, server, many(PAGE + 1))
    listed(page, ids(13, 1))
    assert page.get_by_test_id("offline").is_visible()
    page.evaluate("() => { location.hash = '#recording/%zz'; }")
    page.get_by_test_id("recording").first.click()
    page.get_by_test_id("replay-title").wait_for()


def test_what_was_taken_down_is_not_shown_and_hides_no_older_one(page: Page, server: ScriptedServer) -> None:
    recordings = many(PAGE + 1)
    for one in recordings[:PAGE]:
        one["state"] = "hidden"
    Room(page, server, recordings)
    more = page.get_by_test_id("recording-more")
    more.click()
    listed(page, ["rec1"])
    more.wait_for(state="hidden")


def test_a_list_that_did_not_come_is_asked_for_again(page: Page, server: ScriptedServer) -> None:
    room = Room(page, server, many(1))
    listed(page, ["rec1"])
    room.refused["recording.list"] = {"code": "unavailable"}
    room.open()
    page.get_by_test_id("toast").get_by_text("The server is busy.").wait_for()
    del room.refused["recording.list"]
    page.get_by_role("button", name="Try again").click()
    listed(page, ["rec1"])


def test_where_nothing_was_recorded_there_is_no_list(page: Page, server: ScriptedServer) -> None:
    room = Room(page, server, [])
    page.wait_for_function("() => document.querySelector('[data-testid=recordings]') !== null")
    room.refused["recording.list"] = {"code": "unavailable"}
    room.open()
    section = page.get_by_test_id("recordings")
    section.wait_for()
    del room.refused["recording.list"]
    page.get_by_role("button", name="Try again").click()
    section.wait_for(state="hidden")
