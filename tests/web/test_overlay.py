"""The overlay for OBS against a whole server."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.live import LiveServer
from tests.support.server import NO_LIMITS
from tests.web.live import Person, looking


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings = NO_LIMITS | {"GALAXY_AUTH__ANONYMOUS": "true"}
    with LiveServer(tmp_path_factory.mktemp("live"), settings) as server:
        yield server


@pytest.mark.parametrize("named", [True, False])
def test_comments_stand_on_transparent_ground(server: LiveServer, browser: Browser, named: bool) -> None:
    ana = Person(server, "ana", "<b>Ana</b>")
    room = ana.room(f"Harbour {named}")
    with looking(browser, viewport={"width": 390, "height": 844}) as (_, page):
        who = f"&token={ana.token}" if named else ""
        page.goto(f"{server.url}/overlay/{room}?size=40&count=2&side=end{who}")
        page.locator("body[data-state=joined]").wait_for()
        for number in range(3):
            ana.did("message.send", room=room, text=f"<i>word {number}</i>", key=f"m{number}")
        page.get_by_text("<i>word 2</i>").wait_for()
        rows = page.get_by_test_id("overlay-comment")
        assert rows.all_inner_texts() == ["<b>Ana</b> <i>word 1</i>", "<b>Ana</b> <i>word 2</i>"]
        target = int(rows.last.get_attribute("data-pos") or 0)
        ana.did("message.edit", room=room, target=target, text="changed", key="e")
        page.get_by_text("changed").wait_for()
        ana.did("message.delete", room=room, target=target, key="d")
        rows.nth(1).wait_for(state="detached")
        look = "() => [document.documentElement, document.body].map((node) => getComputedStyle(node).backgroundColor)"
        assert page.evaluate(look) == ["rgba(0, 0, 0, 0)"] * 2
        assert page.evaluate("() => getComputedStyle(document.body).fontSize") == "40px"
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390
        assert page.locator("button, a, input").count() == 0


def test_a_row_goes_after_its_seconds(server: LiveServer, browser: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Short")
    with looking(browser) as (_, page):
        page.goto(f"{server.url}/overlay/{room}?seconds=1&size=nonsense")
        page.locator("body[data-state=joined]").wait_for()
        ana.did("message.send", room=room, text="gone soon", key="m")
        row = page.get_by_test_id("overlay-comment")
        row.wait_for()
        row.wait_for(state="detached")
        assert page.evaluate("() => getComputedStyle(document.body).fontSize") == "24px"


def test_long_names_and_comments_leave_room_for_others(server: LiveServer, browser: Browser) -> None:
    ana = Person(server, "ana", "Maximilian Alexander von und zu Hohenstaufen-Lichtenberg-Sigmaringen-Donaueschingen")
    room = ana.room("Long")
    with looking(browser, viewport={"width": 480, "height": 720}) as (_, page):
        page.goto(f"{server.url}/overlay/{room}?size=20&side=end")
        page.locator("body[data-state=joined]").wait_for()
        ana.did("message.send", room=room, text="short", key="m1")
        ana.did("message.send", room=room, text="word " * 400, key="m2")
        rows = page.get_by_test_id("overlay-comment")
        rows.nth(1).wait_for()
        short, long = (rows.nth(index).bounding_box() for index in (0, 1))
        assert short is not None
        assert long is not None
        assert short["height"] < 2 * 20 * 1.3 + 10  # of one line or two
        assert long["height"] < 7 * 20 * 1.3
        assert round(short["x"] + short["width"]) == round(long["x"] + long["width"])


@pytest.mark.parametrize(("room", "token", "told"), [("l.none", "", "Not found"), ("", "nonsense", "token")])
def test_who_may_not_look_is_told_why(server: LiveServer, browser: Browser, room: str, token: str, told: str) -> None:
    ana = Person(server, "ana", "Ana")
    made = ana.room(f"Refused {told}")
    with looking(browser) as (_, page):
        page.goto(f"{server.url}/overlay/{room or made}?token={token or ana.token}")
        page.locator("body[data-state=failed]").wait_for()
        assert told in page.get_by_test_id("overlay-problem").inner_text()
