"""The newcomer's story, in two real Chromium windows against the real server as a process of its own, and against three
behind nginx.

Screenshots are kept under `artefacts/`.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.support.cluster import Cluster
from tests.support.server import ServerProcess
from tests.web.conftest import ARGUMENTS

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module", params=["one node", "three nodes"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess | Cluster]:
    folder = tmp_path_factory.mktemp("story")
    if request.param == "one node":
        with ServerProcess(folder, dev=True) as server:
            yield server
    else:
        with Cluster(folder, request.getfixturevalue("postgres"), dev=True) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


def until_served(url: str) -> None:
    """Waits until a proxy, if there is one, has nobody behind it any more that it takes for gone."""
    served, deadline = 0, time.monotonic() + PATIENCE_MS / 1_000
    while served < 10:
        served = served + 1 if httpx.get(url).status_code == 200 else 0
        assert served or time.monotonic() < deadline
        time.sleep(0.02)


class Window:
    """One person's browser window. What the page's scripts throw, or its policy blocks, is kept in `faults`."""

    def __init__(
        self, browser: Browser, url: str, name: str, *, width: int = 1280, height: int = 800, dark: bool = False
    ):
        self.name = name
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read"],
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.faults.append(message.text) if "Content Security" in message.text else None,
        )
        until_served(url)
        self.page.goto(url)
        self.at("signin-name").fill(name)
        self.at("signin-submit").click()
        expect(self.at("connection-state")).to_have_attribute("data-state", "online")

    def at(self, hook: str) -> Locator:
        return self.page.get_by_test_id(hook)

    def say(self, text: str) -> None:
        self.at("composer-input").fill(text)
        self.at("composer-input").press("Enter")

    def message(self, text: str) -> Locator:
        """The one message that says this, edited or not: two would fail."""
        says = self.page.locator(
            "[data-testid=message-text]", has_text=re.compile(rf"^{re.escape(text)}( \(edited\))?$")
        )
        return self.at("message").filter(has=says)

    def act(self, text: str, *actions: str) -> None:
        """Takes a message by its toolbar."""
        self.message(text).hover()
        for action in actions:
            self.at(action).last.click()

    def picture(self, what: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{what}.png")


def test_two_people_talk_in_a_private_room(browser: Browser, server: ServerProcess | Cluster) -> None:
    ann = Window(browser, server.url, "Ann")
    bob = Window(browser, server.url, "Bob")

    # Ann makes a private group and invites Bob.
    ann.at("create").click()
    ann.at("create-title").fill("Kitchen table")
    ann.at("create-private").check(force=True)
    ann.at("create-room-submit").click()
    expect(ann.at("room-title")).to_have_text("Kitchen table")
    ann.at("open-invite").click()
    ann.at("invite-create").click()
    link = ann.at("invite-link").first.input_value()
    assert re.search(r"#/invite/[\w-]{22}$", link)
    ann.page.keyboard.press("Escape")
    bob.page.goto(link)
    bob.at("accept-invite-submit").click()
    expect(bob.at("room-title")).to_have_text("Kitchen table")

    # They talk: replies, mentions, edits, reactions.
    ann.say("Hello Bob")
    expect(bob.message("Hello Bob")).to_be_visible()
    bob.act("Hello Bob", "msg-reply")
    bob.say("Hello yourself, @Ann")
    expect(ann.message("Hello yourself, @Ann")).to_be_visible()
    expect(ann.message("Hello yourself, @Ann").get_by_test_id("quote")).to_contain_text("Hello Bob")
    ann.say("Helo again")
    expect(bob.message("Helo again")).to_be_visible()
    ann.act("Helo again", "msg-edit")
    ann.say("Hello again")
    expect(bob.message("Hello again").get_by_test_id("edited")).to_be_visible()
    expect(bob.message("Helo again")).to_have_count(0)
    bob.act("Hello again", "msg-react")
    bob.at("emoji-picker").get_by_role("button").first.click()
    expect(ann.message("Hello again").get_by_test_id("reaction")).to_have_count(1)

    # Typing and presence.
    bob.at("composer-input").press_sequentially("hm")
    expect(ann.at("typing")).to_contain_text("Bob")
    bob.at("composer-input").fill("")
    expect(ann.at("room-counts")).to_contain_text("2")

    # Unread counts, while Bob looks elsewhere.
    bob.page.goto(f"{server.url}/#/")
    expect(bob.at("room-title")).to_have_count(0)
    ann.say("Are you there, @Bob?")
    room = bob.at("room-item").filter(has_text="Kitchen table")
    expect(room).to_have_attribute("data-mentions", "1")
    expect(room).to_have_attribute("data-unread", "1")
    bob.picture("unread")
    room.click()
    expect(bob.message("Are you there, @Bob?")).to_be_visible()
    expect(room).to_have_attribute("data-unread", "0")
    ann.picture("chat")

    # The server is killed and started again; both come back by themselves, and nothing is missing or doubled.
    server.kill()
    expect(ann.at("connection-state")).not_to_have_attribute("data-state", "online")
    ann.say("Written while the server was away")
    expect(ann.at("pending-message")).to_have_count(1)
    ann.picture("offline")
    server.start()
    for window in (ann, bob):
        expect(window.at("connection-state")).to_have_attribute("data-state", "online")
        expect(window.message("Written while the server was away")).to_have_count(1)
        expect(window.at("pending-message")).to_have_count(0)
    bob.say("Back again")
    expect(ann.message("Back again")).to_have_count(1)
    texts = [
        "Hello Bob",
        "Hello yourself, @Ann",
        "Hello again",
        "Are you there, @Bob?",
        "Written while the server was away",
        "Back again",
    ]
    for window in (ann, bob):
        shown = [text.removesuffix(" (edited)") for text in window.at("message-text").all_inner_texts()]
        assert shown == texts

    # An owner mutes, kicks, bans.
    ann.at("member-item").filter(has_text="Bob").click()
    ann.at("mute").click()
    ann.at("mute-dialog-submit").click()
    expect(bob.at("write-bar")).to_be_visible()
    ann.picture("members")
    ann.at("member-item").filter(has_text="Bob").click()
    ann.at("ban").click()
    ann.at("ban-dialog-submit").click()
    expect(bob.at("removed-notice")).to_be_visible()
    expect(bob.at("room-item").filter(has_text="Kitchen table")).to_have_count(0)
    bob.picture("banned")

    assert ann.faults == []
    assert bob.faults == []
    ann.context.close()
    bob.context.close()


def test_the_lobby_on_a_phone_in_the_dark(browser: Browser, server: ServerProcess | Cluster) -> None:
    cem = Window(browser, server.url, "Cem", width=390, height=844, dark=True)
    cem.picture("phone-rooms")
    cem.page.goto(f"{server.url}/#/room/g.lobby")
    expect(cem.at("room-title")).to_have_text("Lobby")
    cem.at("member-join").click()
    cem.say("你好 from a phone 👋")
    expect(cem.message("你好 from a phone 👋")).to_be_visible()
    assert cem.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    cem.picture("phone-chat")
    assert cem.faults == []
    cem.context.close()
