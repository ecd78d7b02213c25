"""The studio against a whole server: published by WHIP with Chromium's fake devices."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from tests.support.live import LiveServer, encoder, kill
from tests.support.server import NO_LIMITS
from tests.web.conftest import ARGUMENTS
from tests.web.live import Person, frames, looking
from tests.web.test_page import REPEATED_IDS, UNLABELLED

DEVICES = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live"), NO_LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def devices() -> Iterator[Browser]:
    """With a camera that shows a clock and a microphone that beeps."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *DEVICES])
        yield browser
        browser.close()


def state(page: Page, name: str) -> None:
    page.locator(f"[data-testid=stream-state][data-state={name}]").wait_for()


def test_goes_live_from_the_page_and_stops(server: LiveServer, devices: Browser) -> None:
    ana, ben = Person(server, "ana", "Ana"), Person(server, "ben", "Ben")
    room = ana.room("Harbour")
    with looking(devices, ana) as (_, studio), looking(devices, ben) as (_, watcher):
        studio.goto(f"{server.url}/studio/{room}")
        frames(studio)
        studio.wait_for_function("() => document.querySelector('[data-testid=level]').ariaValueNow > 0")
        assert studio.evaluate(UNLABELLED) == []
        assert studio.evaluate(REPEATED_IDS) == []
        studio.get_by_test_id("detail-title").fill("<b>Night</b> sail")
        studio.get_by_test_id("detail-category").fill("Sailing")
        studio.get_by_test_id("go-live").focus()
        studio.keyboard.press("Enter")
        state(studio, "flowing")
        ana.until(room, "live.started")
        watcher.goto(f"{server.url}/room/{room}")
        watcher.locator("[data-testid=stage][data-state=playing]").wait_for()
        frames(watcher)
        assert watcher.get_by_test_id("live-title").inner_text() == "<b>Night</b> sail"
        studio.get_by_test_id("health-kbit").wait_for()
        assert "H264" in studio.get_by_test_id("health-codecs").inner_text().upper()
        studio.get_by_test_id("health-roundTrip").wait_for()  # that the browser has answered
        studio.get_by_test_id("studio-viewers").wait_for()
        studio.get_by_test_id("end-stream").click()
        studio.get_by_test_id("confirm-end-submit").click()
        state(studio, "stopped")
        watcher.get_by_test_id("offline").wait_for()
        assert studio.get_by_test_id("let-in").is_visible()
    ana.until(room, "live.started", "live.stopped")


def test_a_test_is_seen_by_its_creator_alone_until_it_is_made_public(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Rehearsal")
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        page.get_by_test_id("detail-test").check()
        page.get_by_test_id("go-live").click()
        state(page, "flowing")
        assert page.get_by_test_id("stream-state").inner_text() == "TEST"
        assert ana.log(room) == []
        page.get_by_test_id("detail-test").uncheck()
        page.get_by_test_id("details-submit").click()
        ana.until(room, "live.started")
        page.get_by_text("LIVE", exact=True).first.wait_for()
        assert page.get_by_test_id("detail-test").is_disabled()


def test_a_connection_that_is_lost_is_made_anew(tmp_path: Path, devices: Browser) -> None:
    with LiveServer(tmp_path, NO_LIMITS) as server:
        ana = Person(server, "ana", "Ana")
        room = ana.room("Storm")
        with looking(devices, ana) as (_, page):
            page.goto(f"{server.url}/studio/{room}")
            frames(page)
            page.get_by_test_id("go-live").click()
            ana.until(room, "live.started")
            (media,) = server.pids("media")
            kill(media)
            ana.until(room, "live.started", "live.interrupted", "live.resumed")
            page.locator("[data-testid=publisher-state][data-state=live]").wait_for(state="attached")


def test_a_second_page_takes_over_and_the_first_stays_away(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Two")
    with looking(devices, ana) as (context, first):
        first.goto(f"{server.url}/studio/{room}")
        frames(first)
        first.get_by_test_id("go-live").click()
        state(first, "flowing")
        second = context.new_page()
        second.goto(f"{server.url}/studio/{room}")
        frames(second)
        second.get_by_test_id("go-live").click()
        first.locator("[data-testid=publisher-state][data-state=idle]").wait_for(state="attached")
        assert first.get_by_test_id("studio-warning").inner_text() == "Another encoder has taken this stream over."
        first.get_by_role("button", name="Stream from here").wait_for()
        state(second, "flowing")
        first.get_by_test_id("go-live").click()
        second.get_by_test_id("studio-warning").wait_for()
        state(first, "flowing")
        assert ana.log(room) == ["live.started"]
        first.get_by_test_id("end-stream").click()
        first.get_by_test_id("confirm-end-submit").click()
        state(first, "stopped")
        assert first.get_by_test_id("studio-warning").is_hidden()


def test_what_is_ended_elsewhere_is_not_begun_anew(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Elsewhere ended")
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        for command, fields, told in (("live.key", {"rotate": True}, "key"), ("live.stop", {}, "stopped")):
            page.get_by_test_id("go-live").click()
            state(page, "flowing")
            ana.did(command, room=room, **fields)
            page.locator("[data-testid=publisher-state][data-state=idle]").wait_for(state="attached")
            assert told in page.get_by_test_id("studio-warning").inner_text()
            page.get_by_test_id("go-live").wait_for()
    ana.until(room, "live.started", "live.stopped", "live.started", "live.stopped")


def test_a_viewer_by_hls_from_the_beginning_loads_no_part_over_and_over(server: LiveServer, devices: Browser) -> None:
    ana, ben = Person(server, "ana", "Ana"), Person(server, "ben", "Ben")
    room = ana.room("Beginning")
    with looking(devices, ana) as (_, studio), looking(devices, ben) as (_, page):
        loaded: Counter[str] = Counter()
        page.on("response", lambda response: loaded.update([response.url]))
        page.goto(f"{server.url}/room/{room}")
        page.get_by_test_id("offline").wait_for()
        studio.goto(f"{server.url}/studio/{room}")
        frames(studio)
        studio.get_by_test_id("go-live").click()
        page.locator("[data-testid=stage][data-state=playing]").wait_for()
        page.get_by_test_id("ways").focus()
        page.keyboard.press("Enter")
        page.get_by_test_id("way-hls").click()
        page.wait_for_function("() => document.querySelector('video').currentTime > 6")  # beyond the first segments
        parts = {url: times for url, times in loaded.items() if url.endswith(".m4s")}
        assert parts
        assert max(parts.values()) < 20


def test_a_page_that_streams_is_not_left_by_mistake(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Leaving")
    with looking(devices, ana) as (_, page):
        asked: list[str] = []

        def left(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.on("dialog", left)
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        page.get_by_test_id("level").click()  # pages that nobody has touched do not ask
        page.reload()
        frames(page)
        assert asked == []
        page.get_by_test_id("go-live").click()
        state(page, "flowing")
        page.reload()
        assert asked == ["beforeunload"]
        state(page, "interrupted")


def test_a_camera_that_is_unplugged_is_said_and_the_microphone_stays(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Unplugged")
    unplug = """() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
      const [track] = document.querySelector("[data-testid=preview]").srcObject.getVideoTracks();
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }"""
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        page.get_by_test_id("go-live").click()
        state(page, "flowing")
        page.evaluate(unplug)
        page.get_by_text("There is no camera here.").wait_for()
        assert page.get_by_test_id("hide-camera").is_disabled()
        assert page.get_by_test_id("mute-microphone").is_enabled()
        state(page, "flowing")


def test_a_microphone_in_place_of_a_muted_one_is_muted(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Muted")
    record = """() => {
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      window.microphones = [];
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await ask(wanted);
        window.microphones.push(...stream.getAudioTracks());
        return stream;
      };
    }"""
    with looking(devices, ana) as (context, page):
        context.add_init_script(f"({record})()")
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        page.wait_for_function("() => window.microphones.length === 1")
        page.get_by_test_id("mute-microphone").click()
        page.evaluate("() => window.microphones[0].dispatchEvent(new Event('ended'))")
        page.wait_for_function("() => window.microphones.length === 2")
        page.wait_for_function("() => !window.microphones[1].enabled")
        assert page.get_by_test_id("mute-microphone").get_attribute("aria-pressed") == "true"


def test_devices_are_muted_and_changed_while_live(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Deck")
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        frames(page)
        assert page.get_by_test_id("microphone").locator("option").count() > 1
        page.get_by_test_id("go-live").click()
        state(page, "flowing")
        page.get_by_test_id("health-kbit").wait_for()
        page.get_by_test_id("microphone").select_option(index=1)
        page.get_by_test_id("mute-microphone").click()
        page.wait_for_function("() => document.querySelector('[data-testid=level]').ariaValueNow === '0'")
        assert page.get_by_test_id("mute-microphone").get_attribute("aria-pressed") == "true"
        page.get_by_test_id("hide-camera").click()
        assert page.get_by_test_id("hide-camera").get_attribute("aria-label") == "Show the picture"
        state(page, "flowing")
        assert ana.log(room) == ["live.started"]


def test_an_encoder_streams_by_the_key_that_is_shown_and_a_new_one_ends_it(
    server: LiveServer, devices: Browser
) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Encoder")
    with looking(devices, ana, permissions=["clipboard-read", "clipboard-write"]) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        page.wait_for_function("() => document.querySelector('[data-testid=stream-key]')?.value")
        key = page.get_by_test_id("stream-key")
        assert key.get_attribute("type") == "password"
        page.get_by_test_id("copy-key").click()
        page.get_by_test_id("toast").wait_for()
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert copied == key.input_value()
        with encoder(f"{page.get_by_test_id('rtmp-address').input_value()}/{copied}") as publishing:
            state(page, "flowing")
            page.get_by_test_id("health-kbit").wait_for()
            assert page.get_by_test_id("go-live").inner_text() == "Stream from here"
            assert "null" not in page.get_by_test_id("health").inner_text()
            page.get_by_test_id("rotate-key").click()
            page.get_by_test_id("confirm-rotate-submit").click()
            publishing.wait(30)
            page.wait_for_function(
                "(old) => document.querySelector('[data-testid=stream-key]').value !== old", arg=copied
            )


def test_destinations_are_added_changed_and_removed(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Elsewhere")
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        page.get_by_test_id("destination-add").click()
        page.get_by_test_id("destination-name").fill("<i>Other</i> place")
        page.get_by_test_id("destination-url").fill("rtmp://live.example/app")
        page.get_by_test_id("destination-key").fill("secret")
        page.get_by_test_id("destination-submit").click()
        row = page.get_by_test_id("destination-item")
        row.wait_for()
        assert "<i>Other</i> place" in row.inner_text()
        assert page.evaluate(UNLABELLED) == []
        row.get_by_test_id("destination-toggle").uncheck()
        page.locator("[data-testid=destination-item][data-state=off]").wait_for()
        row.get_by_test_id("destination-edit").click()
        page.get_by_test_id("destination-name").fill("Place")
        page.get_by_test_id("destination-submit").click()
        page.get_by_text("Place", exact=True).wait_for()
        assert [one["enabled"] for one in ana.did("live.destination.list")["destinations"]] == [False]
        row.get_by_test_id("destination-remove").click()
        page.get_by_test_id("confirm-destination-submit").click()
        row.wait_for(state="detached")
        assert ana.did("live.destination.list")["destinations"] == []


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_fits_the_window_in_both_languages(server: LiveServer, devices: Browser, size: tuple[int, int]) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Width")
    for locale, word in (("en-GB", "Go live"), ("zh-CN", "开始直播")):
        with looking(devices, ana, viewport={"width": size[0], "height": size[1]}, locale=locale) as (_, page):
            page.goto(f"{server.url}/studio/{room}")
            frames(page, 5)
            assert page.get_by_test_id("go-live").inner_text() == word
            assert page.evaluate("() => document.documentElement.scrollWidth") == size[0]
            assert page.get_by_test_id("go-live").is_visible()


def test_is_for_owners(server: LiveServer, devices: Browser) -> None:
    ana, ben = Person(server, "ana", "Ana"), Person(server, "ben", "Ben")
    room = ana.room("Mine")
    with looking(devices, ben) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        page.get_by_text("Only owners").wait_for()
    with looking(devices) as (_, page):
        page.goto(f"{server.url}/studio/{room}")
        page.get_by_test_id("signin-token").wait_for(state="attached")


def test_is_reached_from_the_rooms_list(server: LiveServer, devices: Browser) -> None:
    ana = Person(server, "ana", "Ana")
    room = ana.room("Listed")
    with looking(devices, ana) as (_, page):
        page.goto(f"{server.url}/#/room/{room}")
        page.get_by_test_id("open-studio").click()
        page.get_by_test_id("studio").wait_for()
        page.goto(f"{server.url}/#/room/{room}")
        page.get_by_role("link", name="Watch: Listed").click()
        page.get_by_test_id("watch").wait_for()
        assert page.get_by_test_id("open-studio").is_visible()
