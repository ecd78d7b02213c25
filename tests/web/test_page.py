"""The page as a whole: honest about its connection, labelled for screen readers, usable at phone width."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed

from tests.web.scripted import Peer, ScriptedServer

ANN = {"id": "ann", "name": "Ann", "role": "owner"}
BEN = {"id": "ben", "name": "Ben", "role": "member"}
SETTINGS = {"write": "members", "max_text": 2000, "slow_seconds": 0, "history": "visible", "policy": "default"}
ROOM = {"id": "r1", "kind": "group", "title": "Harbour", "visibility": "private", "settings": SETTINGS}
COUNTS = {"members": 2, "online": 1}
MESSAGES = [
    {"pos": 3, "n": 1, "at": 1_700_000_000_000, "by": BEN, "text": "hello @Ann", "mentions": ["ann"]},
    {
        "pos": 4,
        "n": 2,
        "at": 1_700_000_100_000,
        "by": ANN,
        "text": "hi",
        "mentions": [],
        "edited_at": 1_700_000_200_000,
    },
]
REPLIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "room.list": lambda _: {"rooms": [ROOM | {"counts": COUNTS}]},
    "read.list": lambda _: {"rooms": [{"room": "r1", "unread": 7, "mentions": 2, "read_pos": 0}]},
    "room.join": lambda _: {
        "room": ROOM | {"counts": COUNTS, "pins": []},
        "you": {"role": "owner", "read_pos": 4},
        "epoch": "e1",
        "pos": 4,
        "first_pos": 1,
        "recovered": False,
        "events": [],
    },
    "message.list": lambda _: {"messages": MESSAGES, "more": False},
    "presence.get": lambda _: {"online": 1, "names": [{"id": "ann", "name": "Ann"}]},
    "pending.list": lambda _: {"pending": []},
    "member.list": lambda _: {"members": [ANN | {"online": True}, BEN | {"online": False}]},
    "recording.list": lambda _: {"recordings": []},
    "invite.list": lambda _: {"invites": [{"code": "c0de", "uses": 3, "until": None, "by": ANN}]},
    "room.events": lambda _: {"events": [], "more": False, "first_pos": 1, "pos": 4, "epoch": "e1"},
    "message.send": lambda _: {"pos": 5, "at": 1_700_000_300_000},
    "ping": lambda _: {"server_time": 0},
}
UNLABELLED = """() => {
  const labels = (node) => [...(node.labels ?? [])].map((label) => label.textContent.trim()).join("");
  const aria = (node) => node.getAttribute("aria-label") || node.getAttribute("aria-labelledby");
  const named = (node) => aria(node) || node.textContent.trim() || labels(node);
  const controls = "button, a[href], input, select, textarea, dialog, nav, aside, [role=menu], [role=toolbar]";
  const nameless = (node) => node.checkVisibility() && !named(node);
  return [...document.querySelectorAll(controls)].filter(nameless).map((node) => node.outerHTML);
}"""
REPEATED_IDS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}"""
CONTRAST = """(selectors) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
  };
  return selectors.map((selector) => {
    const node = document.querySelector(selector);
    const [a, b] = [light(rgba(getComputedStyle(node).color).slice(0, 3)), light(ground(node).slice(0, 3))];
    return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""
TEXTS = [
    ".text",
    ".author",
    ".byline time",
    ".room-title p",
    ".day",
    ".at",
    ".edited",
    ".room-item",
    ".badge.owner",
    ".me small",
]


def _nothing(_: dict[str, Any]) -> dict[str, Any]:
    return {}


class Answering:
    """Answers each connection by `REPLIES` until it ends."""

    def __init__(self, server: ScriptedServer):
        self.server = server
        self.peer: Peer | None = None
        self.silent: set[str] = set()
        self.counted = threading.Event()
        """The page has been given all counts: what it is told now comes after them."""

    def accept(self) -> Peer:
        peer = self.peer = self.server.accept()
        peer.welcome()
        threading.Thread(target=self._answer, args=(peer,)).start()
        return peer

    def _answer(self, peer: Peer) -> None:
        try:
            while not peer.done.is_set():
                command = peer.receive()
                if "id" in command and command["type"] not in self.silent:
                    peer.ok(command, **REPLIES.get(command["type"], _nothing)(command))
                    if command["type"] == "read.list":
                        self.counted.set()
        except (ConnectionClosed, TimeoutError):
            return


@pytest.fixture
def answering(server: ScriptedServer, page: Page) -> Iterator[Answering]:
    """The room page of Ann, who is signed in."""
    answering = Answering(server)
    session = '{"user": {"id": "ann", "name": "Ann"}, "token": "t", "dev": false}'
    page.evaluate("(session) => sessionStorage.setItem('galaxy-live.session', session)", session)
    page.goto(f"{server.address}/#/room/r1")
    answering.accept()
    page.get_by_test_id("message").first.wait_for()
    yield answering
    page.close()


def check(page: Page) -> None:
    """No control without a name, no id twice."""
    assert page.evaluate(UNLABELLED) == []
    assert page.evaluate(REPEATED_IDS) == []


def test_controls_have_names_everywhere(page: Page, answering: Answering) -> None:
    check(page)
    for panel in ("search", "pins", "pending", "members"):
        page.get_by_test_id(f"open-{panel}").click()
        check(page)
    for opened in ("date", "invite"):
        page.get_by_test_id(f"open-{opened}").click()
        page.locator("dialog[open]").wait_for()
        check(page)
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
    page.get_by_test_id("open-menu").click()
    check(page)
    page.get_by_test_id("menu-settings").click()
    page.locator("dialog[open]").wait_for()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_test_id("create").click()
    check(page)


def test_the_first_page_has_names_and_focus(page: Page, server: ScriptedServer) -> None:
    page.evaluate("() => sessionStorage.clear()")
    page.goto(f"{server.address}/")
    page.get_by_test_id("signin-name").wait_for()
    check(page)
    assert page.evaluate("() => document.activeElement.dataset.testid") == "signin-name"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(page: Page, answering: Answering, theme: str) -> None:
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    ratios = dict(page.evaluate(CONTRAST, TEXTS))
    assert {selector: ratio for selector, ratio in ratios.items() if ratio < 4.5} == {}  # WCAG 2.2, 1.4.3


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page, answering: Answering) -> None:
    page.get_by_test_id("create").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.dataset.testid") == "create-title"
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "() => document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.dataset.testid") == "create"


def test_the_title_counts_mentions_then_messages(page: Page, answering: Answering) -> None:
    page.goto(f"{answering.server.address}/#/")
    peer = answering.peer
    assert peer is not None
    assert answering.counted.wait(10)
    peer.send({"type": "user.changed", "rooms": [{"room": "r1", "unread": 3, "mentions": 1, "read_pos": 4}]})
    page.wait_for_function("() => document.title === '(@1) Galaxy'")
    peer.send({"type": "user.changed", "rooms": [{"room": "r1", "unread": 3, "mentions": 0, "read_pos": 4}]})
    page.wait_for_function("() => document.title === '(3) Galaxy'")
    assert page.get_by_test_id("room-item").get_attribute("data-unread") == "3"


def test_says_how_it_stands_and_keeps_what_was_not_sent(page: Page, answering: Answering) -> None:
    peer = answering.peer
    assert peer is not None
    answering.silent.add("message.send")
    page.get_by_test_id("composer-input").fill("kept")
    page.keyboard.press("Enter")
    page.locator("[data-testid=pending-message][data-state=sending]").wait_for()
    peer.close(1013)
    state = page.get_by_test_id("connection-state")
    # The next connection is not welcomed yet, so the page is still connecting.
    waiting = answering.server.accept()
    page.locator("[data-testid=pending-message][data-state=queued]").wait_for()
    state.wait_for()
    assert state.get_attribute("data-state") == "connecting"
    assert "1 message is kept" in state.inner_text()
    waiting.close(3504)
    page.locator("[data-testid=connection-state][data-state=closed]").wait_for()
    assert "too many windows" in state.inner_text()
    answering.silent.clear()
    page.get_by_test_id("connect-now").click()
    answered = answering.accept()
    page.locator("[data-testid=pending-message][data-state=sent]").wait_for()
    message = {"text": "kept", "n": 3, "mentions": []}
    event = {"type": "message.created", "room": "r1", "pos": 5, "at": 1_700_000_300_000, "by": ANN, "message": message}
    answered.send(event)
    page.get_by_test_id("pending-message").wait_for(state="detached")
    assert page.get_by_test_id("message").count() == 3
    state.wait_for(state="hidden")


def test_being_banned_is_said_with_its_reason(page: Page, answering: Answering) -> None:
    assert answering.peer is not None
    answering.peer.send({"type": "room.removed", "room": "r1", "code": "banned", "reason": "<b>spam</b>"})
    notice = page.get_by_test_id("removed-notice")
    notice.wait_for()
    assert "banned from \u2068Harbour\u2069" in notice.inner_text()
    assert "<b>spam</b>" in notice.inner_text()
    assert page.get_by_test_id("room-item").count() == 0


def test_a_mute_takes_the_composer_s_place_until_it_ends(page: Page, answering: Answering) -> None:
    assert answering.peer is not None
    muted = {"room": "r1", "at": 0, "by": BEN, "user": "ann", "name": "Ann"}
    answering.peer.send({"type": "member.muted", "pos": 5, **muted})
    page.get_by_test_id("write-bar").wait_for()
    assert page.get_by_test_id("composer-input").is_hidden()
    answering.peer.send({"type": "member.unmuted", "pos": 6, **muted})
    page.get_by_test_id("composer-input").wait_for()


def test_at_phone_width_the_list_and_the_room_take_turns(page: Page, answering: Answering) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.get_by_test_id("sidebar").is_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    page.get_by_test_id("back").click()
    page.get_by_test_id("room-item").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    page.get_by_test_id("room-item").click()
    page.get_by_test_id("composer-input").wait_for()
    for control in ("back", "open-menu", "composer-send"):
        box = page.get_by_test_id(control).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, 2.5.8


def test_arrow_up_edits_one_s_last_message(page: Page, answering: Answering) -> None:
    page.get_by_test_id("composer-input").focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_test_id("composer-input").input_value() == "hi"
    page.keyboard.press("Escape")
    assert page.get_by_test_id("composer-input").input_value() == ""


def test_a_mention_is_completed_by_keyboard(page: Page, answering: Answering) -> None:
    composer = page.get_by_test_id("composer-input")
    composer.press_sequentially("hey @b")
    page.get_by_role("option").first.wait_for()
    assert composer.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert composer.input_value() == "hey @Ben "
    assert composer.get_attribute("aria-expanded") == "false"


def test_the_language_can_be_changed(page: Page, answering: Answering) -> None:
    page.get_by_test_id("me").click()
    page.get_by_test_id("language-zh").click()
    answering.accept()
    page.get_by_text("成员", exact=True).first.wait_for()
    assert page.evaluate("() => document.documentElement.lang") == "zh-CN"


def test_says_how_many_of_a_busy_rooms_comments_are_shown(page: Page, answering: Answering) -> None:
    def event(kind: str, pos: int, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "room": "r1", "pos": pos, "at": 1_700_000_400_000, "by": BEN, **fields}

    def spare(until: int) -> None:
        message = {"text": f"seen {until}", "n": until, "mentions": []}
        assert answering.peer is not None
        answering.peer.send(
            {"type": "comments.sampled", "room": "r1", "shown": 30, "total": 1210},
            {"type": "room.skip", "room": "r1", "from": until - 10, "to": until - 1},
            event("message.created", until, message=message),
        )
        page.get_by_test_id("timeline").get_by_text(f"seen {until}").wait_for()

    assert answering.peer is not None
    line = page.get_by_test_id("typing")
    spare(15)
    assert line.inner_text() == "", "owners are shown all"
    answering.peer.send(event("member.role", 16, user="ann", name="Ann", role="member"))
    spare(27)
    assert line.inner_text() == "Showing 30 of 1,210 comments per second"
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 60_000; }")
    page.wait_for_function("() => document.querySelector('[data-testid=typing]').textContent === ''")
