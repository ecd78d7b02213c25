"""A live room's page: its stream, by fragmented MP4 over a WebSocket, beside its comments."""

import struct
import subprocess
import threading
import time
from typing import Any

import pytest
from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed

from tests.web.scripted import PATIENCE, Peer, ScriptedServer
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

    def __init__(
        self,
        server: ScriptedServer,
        media: tuple[bytes, list[bytes]],
        live: dict[str, Any] | None,
        recordings: list[dict[str, Any]],
    ):
        self.server, self.media, self.live, self.recordings = server, media, live, recordings
        self.still = threading.Event()
        """Set: nothing more is fed, and the connection stays."""
        self.refusing = False
        """Whether comments are refused."""
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
                if command["type"] == "recording.list":
                    reply = {"recordings": self.recordings}
                if command["type"] == "message.send" and self.refusing:
                    peer.refuse(command, "blocked", message="no links here")
                elif "id" in command:
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
                if self.still.is_set():
                    return
                if peer.done.wait(0.9):
                    return
        except ConnectionClosed:
            return


def opened(
    page: Page,
    server: ScriptedServer,
    media: tuple[bytes, list[bytes]],
    live: dict[str, Any] | None,
    recordings: list[dict[str, Any]] | None = None,
) -> Room:
    session = '{"user": {"id": "ann", "name": "Ann"}, "token": "t", "dev": false}'
    page.evaluate("(session) => sessionStorage.setItem('galaxy-live.session', session)", session)
    page.goto(f"{server.address}/room/r1")
    room = Room(server, media, live, recordings or [])
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


def said(pos: int, text: str) -> dict[str, Any]:
    message = {"text": text, "n": pos, "mentions": []}
    return {"type": "message.created", "room": "r1", "pos": pos, "at": 0, "by": BEN, "message": message}


def test_a_picture_that_stands_still_is_left_while_people_talk(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    room.stream()
    plays(page)
    room.still.set()
    stage, end = page.get_by_test_id("stage"), time.monotonic() + PATIENCE
    for pos in range(5, 1000):
        room.chat.send(said(pos, f"word {pos}"))
        page.get_by_text(f"word {pos}", exact=True).first.wait_for(state="attached")
        if stage.get_attribute("data-state") == "stalled":
            break
        assert time.monotonic() < end
        page.wait_for_timeout(100)


def test_a_pause_by_the_browsers_own_means_is_kept_and_ends_at_the_live_edge(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    room.stream()
    plays(page)
    page.evaluate("() => document.querySelector('video').pause()")
    page.locator("[data-testid=stage][data-state=paused]").wait_for()
    assert page.get_by_test_id("latency").inner_text() == ""
    buffered = (
        "() => { const { buffered } = document.querySelector('video'); return buffered.end(buffered.length - 1); }"
    )
    page.wait_for_function(f"(least) => ({buffered})() > least", arg=page.evaluate(buffered) + 3)
    page.evaluate("() => document.querySelector('video').play()")
    page.locator("[data-testid=stage][data-state=playing]").wait_for()
    assert page.evaluate(f"() => ({buffered})() - document.querySelector('video').currentTime") < 2


def test_comments_over_the_picture_change_and_go_with_those_beside(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    rows = page.get_by_test_id("over-comment")
    tip = {"type": "tip.settled", "room": "r1", "pos": 7, "at": 0, "by": BEN, "amount": "3", "asset": "USDC"}
    room.chat.send(said(5, "first"), said(6, "second"), tip | {"text": "fair wind"})
    rows.nth(2).wait_for(state="attached")
    edited = {"text": "<b>second</b>, mended", "n": 6, "mentions": []}
    room.chat.send(
        {"type": "message.edited", "room": "r1", "pos": 8, "at": 0, "by": BEN, "target": 6, "message": edited}
    )
    room.chat.send({"type": "message.deleted", "room": "r1", "pos": 9, "at": 0, "by": BEN, "target": 5})
    page.wait_for_function("() => document.querySelectorAll('[data-testid=over-comment]').length === 2")
    texts = [
        text.replace("\u2068", "").replace("\u2069", "")
        for text in rows.locator("> span:last-child").all_text_contents()
    ]
    assert texts == ["Ben <b>second</b>, mended", "Ben tipped 3 USDC fair wind"]


def test_what_is_refused_in_full_screen_is_said_there(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    room.refusing = True
    page.get_by_test_id("stage").focus()
    page.keyboard.press("f")
    page.get_by_test_id("over-input").fill("https://example.org")
    page.keyboard.press("Enter")
    toast = page.get_by_test_id("toast")
    toast.wait_for()
    assert "no links here" in toast.inner_text()
    box = toast.bounding_box()
    assert box is not None
    on_top = "([x, y]) => document.elementFromPoint(x, y)?.closest('[data-testid=toast]') !== null"
    assert page.evaluate(on_top, [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])


def test_a_long_title_takes_one_line_of_where_one_writes(page: Page, server: ScriptedServer) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, server, (b"", []), None)
    look = "(text) => Object.assign(document.querySelector('textarea'), { placeholder: text }).scrollHeight"
    assert page.evaluate(look, "Harbour " * 20) == page.evaluate(look, "Harbour")


RECORDING: dict[str, Any] = {"id": "x", "title": "Yesterday", "state": "listed", "started_at": 0, "length_ms": 13_400}
RECORDING |= {"poster": "/poster.webp", "hls": "/index.m3u8", "first_pos": 1, "last_pos": 1}


def test_on_a_phone_recordings_are_shown_while_nothing_is_streamed(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    room = opened(page, server, media, LIVE, [RECORDING])
    recordings = page.get_by_test_id("recording")
    recordings.wait_for(state="attached")
    assert recordings.is_hidden()
    room.chat.send({"type": "live.stopped", "room": "r1", "pos": 5, "at": 0, "by": BEN})
    recordings.wait_for()


def test_who_watches_a_recording_is_told_when_a_stream_begins(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, None, [RECORDING])
    page.get_by_test_id("recording").click()
    back = page.get_by_test_id("replay-back")
    back.wait_for()
    assert back.inner_text() == "Back to the room"
    page.wait_for_function("() => document.querySelector('[data-testid=replay-time]').textContent.endsWith(' / 0:13')")
    started = {"type": "live.started", "room": "r1", "pos": 5, "at": 0, "by": BEN}
    room.chat.send(started | {name: LIVE[name] for name in ("title", "category", "media")})
    page.get_by_role("link", name="Watch live").wait_for()
    back.click()
    room.stream()
    plays(page)


def test_who_is_muted_is_told_why(page: Page, server: ScriptedServer) -> None:
    room = opened(page, server, (b"", []), None)
    muted = {"type": "member.muted", "room": "r1", "pos": 5, "at": 0, "by": BEN, "user": "ann", "name": "Ann"}
    room.chat.send(muted | {"reason": "calm <b>down</b>"})
    page.get_by_text("Reason: \u2068calm <b>down</b>\u2069").wait_for()


def test_full_screen_is_left_by_touch_when_the_stream_has_ended(
    page: Page, server: ScriptedServer, media: tuple[bytes, list[bytes]]
) -> None:
    room = opened(page, server, media, LIVE)
    page.get_by_test_id("stage").focus()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement !== null")
    room.chat.send({"type": "live.stopped", "room": "r1", "pos": 5, "at": 0, "by": BEN})
    page.get_by_test_id("offline").click()
    assert page.get_by_test_id("play").is_hidden()
    page.get_by_test_id("fullscreen").click()
    page.wait_for_function("() => document.fullscreenElement === null")
    assert page.get_by_test_id("fullscreen").is_hidden()
