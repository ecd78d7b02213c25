"""Pictures of a studio and a live room, from a server with two recordings: `python -m docs.pictures.draw_live`."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.live import LiveServer, encoder
from tests.support.server import NO_LIMITS
from tests.web.conftest import ARGUMENTS
from tests.web.live import Person, frames, looking
from tests.web.test_studio import DEVICES, state
from tests.web.test_watch_live import plays

HERE = Path(__file__).parent
RECORDED = (("Rigging, from the beginning", "320x180"), ("Night sail to the island", "640x360"))
FILM_SECONDS = 20
SAID = (
    ("ben", "Ben", "Good evening from the north pier!"),
    ("mei", "李娜", "晚上好！画面很清楚"),
    ("dora", "Dora", "Which island is that?"),
)
ANSWERED = (
    ("ana", "Ana", "Lighthouse island. We round it before it is dark"),
    ("ben", "Ben", "@Ana how strong is the wind out there?"),
    ("ana", "Ana", "Five, from the south-west"),
    ("mei", "李娜", "太美了"),
    ("dora", "Dora", "I can see your lights from the harbour wall"),
)
EVENING = "gradients=speed=0.004:n=4:c0=0x0b1a3a:c1=0x3a2a6b:c2=0xd9653b:c3=0xf2b705:seed=7:"


def main() -> None:
    with TemporaryDirectory() as folder, LiveServer(Path(folder), NO_LIMITS) as server, sync_playwright() as playwright:
        ana = Person(server, "ana", "Ana")
        room = ana.room("Harbour")
        for title, size in RECORDED:
            record(ana, room, title, size)
        older = ana.did("recording.list", room=room)["recordings"][-1]
        ana.did("recording.update", room=room, recording=older["id"], listed=False)
        url = "rtmp://live.example/app"
        ana.did("live.destination.add", name="Other platform", url=url, stream_key="not-a-real-key")
        ana.did("live.start", room=room, title="Night sail to the lighthouse", category="Sailing")
        for user, name, text in SAID:
            Person(server, user, name).did("message.send", room=room, text=text, key=user)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *DEVICES])
        address = f"{server.url}/studio/{room}"
        draw(browser, ana, address, "studio", (1280, 1540))
        draw(browser, ana, address, "studio-dark", (1280, 800), scheme="dark")
        draw(browser, ana, address, "studio-phone", (390, 844), at="recordings")
        for number, (user, name, text) in enumerate(ANSWERED):
            Person(server, user, name).did("message.send", room=room, text=text, key=f"{user}{number}")
        ben, address = Person(server, "ben", "Ben"), f"{server.url}/room/{room}"
        with encoder(ana.address(room), b_frames=0, size="1280x720", picture=EVENING):
            watch(browser, ben, address, "room", (1280, 800))
            watch(browser, ben, address, "room-dark", (1280, 800), scheme="dark")
            watch(browser, ben, address, "room-phone", (390, 844))
        browser.close()


def record(ana: Person, room: str, title: str, size: str) -> None:
    before = len(ana.did("recording.list", room=room)["recordings"])
    ana.did("live.start", room=room, title=title)
    with encoder(ana.address(room), size=size):
        begun = time.monotonic()
        while ana.did("live.get", room=room)["stream"]["state"] != "flowing" or time.monotonic() < begun + FILM_SECONDS:
            time.sleep(0.2)
    ana.did("live.stop", room=room)
    while len(ana.did("recording.list", room=room)["recordings"]) == before:
        time.sleep(0.2)


def draw(
    browser: Browser, ana: Person, address: str, name: str, size: tuple[int, int], scheme: str = "light", at: str = ""
) -> None:
    """`at`: the card that is scrolled to."""
    viewport = {"width": size[0], "height": size[1]}
    with looking(browser, ana, viewport=viewport, color_scheme=scheme) as (_, page):
        page.goto(address)
        frames(page)
        page.get_by_test_id("go-live").click()
        state(page, "flowing")
        page.get_by_test_id("health-kbit").wait_for()
        posters(page)
        if at:
            page.get_by_test_id(at).scroll_into_view_if_needed()
        page.screenshot(path=HERE / f"{name}.png")


def watch(
    browser: Browser, person: Person, address: str, name: str, size: tuple[int, int], scheme: str = "light"
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with looking(browser, person, viewport=viewport, color_scheme=scheme) as (_, page):
        page.goto(address)
        plays(page, "whep")
        page.mouse.move(size[0] // 4, size[1] // 4)  # shows the controls
        page.screenshot(path=HERE / f"{name}.png")


def posters(page: Page) -> None:
    page.wait_for_function(
        "(count) => [...document.querySelectorAll('.kept img')].filter((one) => one.naturalWidth).length === count",
        arg=len(RECORDED),
    )


if __name__ == "__main__":
    main()
