"""The studio's destinations, where the server refuses, and where the focus stays."""

from typing import Any

from playwright.sync_api import Page

from tests.web.scripted import ScriptedServer
from tests.web.studio import FOCUSED, Studio


def destination(number: int) -> dict[str, Any]:
    return {"id": f"d{number}", "name": f"Place {number}", "url": "rtmp://live.example/app", "enabled": True}


def focused(page: Page, what: str) -> None:
    page.wait_for_function(f"(what) => ({FOCUSED})() === what", arg=what)


def test_the_switch_goes_back_where_the_server_refuses(page: Page, server: ScriptedServer) -> None:
    studio = Studio(page, server, destinations=[destination(1)])
    studio.refused["live.destination.update"] = {"code": "unavailable"}
    page.get_by_test_id("destination-toggle").focus()
    page.keyboard.press("Space")
    page.get_by_test_id("toast").get_by_text("The server is busy.").wait_for()
    page.wait_for_function("() => document.querySelector('[data-testid=destination-toggle]').checked")
    assert page.evaluate(FOCUSED) == "destination-toggle"


def test_the_focus_returns_from_dialogs_to_where_it_was(page: Page, server: ScriptedServer) -> None:
    Studio(page, server, destinations=[destination(1), destination(2)])
    rows = page.get_by_test_id("destination-item")
    rows.last.get_by_test_id("destination-edit").focus()
    page.keyboard.press("Enter")
    page.get_by_test_id("destination-name").fill("Elsewhere")
    page.keyboard.press("Enter")
    page.get_by_text("Elsewhere").wait_for()
    focused(page, "destination-edit")
    assert page.evaluate("() => document.activeElement.closest('li').dataset.id") == "d2"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_test_id("confirm-destination-submit").click()
    page.wait_for_function("() => document.querySelectorAll('[data-testid=destination-item]').length === 1")
    focused(page, "destination-add")
