"""A live room's page: its stream, by fragmented MP4 over a WebSocket, beside its comments."""

import struct
import subprocess
import threading
import time
from typing import Any

import pytest
from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed

from tests.web.scripted import Peer, ScriptedServer
from tests.web.test_page import BEN, REPLIES, check

PATHS = {name: f"/v1/rooms/r1/{name}" for name in ("whep", "stream")} | {"hls": "/v1/rooms/r1/hls/index.m3u8"}
LIVE = {"title": "<b>Night</b> sail", "since": 1_700_000_000_000, "category": "Sailing", "media": PATHS}
CODECS = "avc1.42c01e,mp4a.40.2"


@pytest.fixture(scope="module")
def media() -> tuple[bytes, list[bytes]]:
    """An init segment, and a minute's parts of it."""
    command = (
        "ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=15 -f lavfi -i sine -t 60 -c:v libx264 -preset "
        "ultrafast -profile:v baseline -level 3 -g 15 -c:a aac -f mp4 "
        "-movflags empty_moov+default_base_moof+frag_keyframe -"
    )
    made = subprocess.run(
        command.split(),
        check=True,
        capture_output=True,
    ).stdout
    boxes, at = [], 0
    while at < len(made):
        (size,) = struct.unpack_from(">I", made, at)
        boxes.append((made[at + 4 : at + 8], made[at : at + size]))
        at += size
    init = b"".join(box for kind, box in boxes if kind in {b"ftyp", b"moov"})
    parts = [box + boxes[index + 1][1] for index, (kind, box) in enumerate(boxes) if kind == b"moof"]
    return init, parts


class Room:
    """Answers the page of room r1."""

    def __init__(self, server: ScriptedServer, media: tuple[bytes, list[bytes]], live: dict[str, Any] | None):
        self.server, self.media, self.live = server, media, live
        self.chat = server.accept()
        self.chat.welcome()
        threading.Thread(target=self._answer, args=(self.chat,)).start()

    def stream(self) -> str:
        """Feeds the viewer's socket as fast as the creator would. Returns its address."""
        peer = self.server.accept()
        threading.Thread(target=self._feed, args=(peer,)).start()
        return peer.path

    def _answer(self, peer: Peer) -> None:
        try:
            while True:
                command = peer.receive()
                answer = REPLIES.get(command["type"])
                reply: dict[str, Any] = {"ticket": "t1"} if answer is None else answer(command)
                if command["type"] == "room.join":
                    reply = reply | {"room": reply["room"] | {"kind": "live", "live": self.live}}
                if "id" in command:
                    peer.ok(command, **reply)
        except (ConnectionClosed, TimeoutError):
            return

    def _feed(self, peer: Peer) -> None:
        init, parts = self.media
        epoch = round(time.time() * 1000) - 1000
        try:
            peer.send({"type": "init", "codecs": CODECS, "width": 320, "height": 180, "epoch_ms": epoch})
            peer.send_bytes(init)
            peer.send_bytes(parts[0])
            for part in parts[1:]:
                peer.send_bytes(part)
                if peer.done.wait(0.9):
                    return
        except ConnectionClosed:
            return


def opened(page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]], live: dict[str, Any] | None) -> Room:
    session = '{"user": {"id": "ann", "name": "Ann"}, "token": "t", "dev": false}'
    page.evaluate("(session) => sessionStorage.setItem('galaxy-live.session', session)", session)
    page.goto(f"{server.address}/room/r1")
    room = Room(server, media, live)
    page.get_by_test_id("message").first.wait_for()
    return room


def plays(page: Page) -> None:
    page.locator("[data-testid=stage][data-state=playing][data-way=stream]").wait_for()
    page.wait_for_function("() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 20")


def test_falls_from_webrtc_to_the_websocket_and_plays_beside_the_comments(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    address = room.stream()
    plays(page)
    assert address == "/v1/rooms/r1/stream?ticket=t1"
    assert page.get_by_test_id("live-title").inner_text() == "<b>Night</b> sail"
    assert page.get_by_test_id("category").inner_text() == "Sailing"
    page.wait_for_function("() => /^[\\d.]+ s$/.test(document.querySelector('[data-testid=latency]').textContent)")
    check(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert page.get_by_test_id("composer-input").is_visible()
    page.set_viewport_size({"width": 1280, "height": 800})
    room.chat.send({"type": "live.interrupted", "room": "r1", "pos": 5, "at": 0, "by": BEN})
    page.locator("[data-testid=stage][data-state=interrupted]").wait_for()
    room.chat.send({"type": "live.stopped", "room": "r1", "pos": 6, "at": 0, "by": BEN})
    page.get_by_test_id("offline").wait_for()
    assert page.evaluate("() => document.querySelector('video').src") == ""


def test_what_is_for_adults_is_played_when_the_viewer_says_so(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE | {"mature": True})
    page.get_by_test_id("gate").wait_for()
    assert page.get_by_test_id("video").get_attribute("src") is None
    page.get_by_test_id("gate-open").focus()
    page.keyboard.press("Enter")
    room.stream()
    plays(page)
