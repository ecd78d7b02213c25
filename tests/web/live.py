"""A whole server with media behind the pages, and people who look at them."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.live import PATIENCE, LiveServer
from tests.support.server import token


class Person:
    """By HTTP, beside what their pages do."""

    def __init__(self, server: LiveServer, user: str, name: str):
        self.user, self.name, self.token = user, name, token(user, name=name)
        self._url = server.url

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(
            method, self._url + path, json=body, headers=headers, timeout=PATIENCE, follow_redirects=True
        )

    def did(self, command: str, **fields: Any) -> dict[str, Any]:
        """The reply; asked again where a server that has just started is not ready yet."""
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.ask("POST", "/v1/commands", {"type": command} | fields)
            if answer.status_code != 503 or time.monotonic() > until:
                break
            time.sleep(0.1)
        assert answer.status_code == 200, answer.text
        reply: dict[str, Any] = answer.json()
        return reply

    def room(self, title: str) -> str:
        reply = self.did("room.create", kind="live", title=title, visibility="public", key=title)
        room: str = reply["room"]["id"]
        return room

    def address(self, room: str) -> str:
        """Where an encoder publishes to."""
        key = self.did("live.key", room=room)
        return f"{key['rtmp']}/{key['key']}"

    def log(self, room: str) -> list[str]:
        events = self.ask("GET", f"/v1/rooms/{room}/events?limit=200").json()["events"]
        return [event["type"] for event in events if event["type"].startswith("live.")]

    def until(self, room: str, *events: str) -> None:
        """Waits until the room's log has these of its live, in this order, and no other."""
        end = time.monotonic() + PATIENCE
        while (seen := self.log(room)) != list(events):
            assert time.monotonic() < end, seen
            time.sleep(0.05)


@contextmanager
def looking(browser: Browser, person: Person | None = None, **options: Any) -> Iterator[tuple[BrowserContext, Page]]:
    """A window of theirs. What a script throws, or the policy of the page blocks, fails the test."""
    options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | options
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)
    if person is not None:
        session = {"user": {"id": person.user, "name": person.name}, "token": person.token, "dev": False}
        kept = json.dumps(json.dumps(session))
        context.add_init_script(f"sessionStorage.setItem('galaxy-live.session', {kept})")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda one: faults.append(one.text) if re.search("Content.Security", one.text) else None)
    try:
        yield context, page
    except BaseException as error:
        error.add_note(f"The page's own faults: {faults}")
        raise
    finally:
        context.close()
    assert faults == []


def frames(page: Page, count: int = 30) -> None:
    """Waits until the page's video has shown so many."""
    page.wait_for_function(
        "(count) => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > count", arg=count
    )
