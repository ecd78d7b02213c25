"""The studio's page of Ann's room r1, answered by the test."""

import threading
from typing import Any

from playwright.sync_api import Page
from websockets.exceptions import ConnectionClosed

from tests.web.scripted import Peer, ScriptedServer
from tests.web.test_page import REPLIES

STREAM = {"state": "idle", "title": "Harbour", "mature": False, "test": False}
ANSWERS: dict[str, dict[str, Any]] = {
    "live.get": {"stream": STREAM},
    "live.key": {"key": "k", "whip": "w", "rtmp": "r"},
    "ticket.create": {"ticket": "t1"},
}
FOCUSED = "() => document.activeElement.dataset.testid ?? document.activeElement.tagName"


class Studio:
    """Answers with these recordings, newest first, and these destinations."""

    path, shown = "/studio/r1", "studio"

    def __init__(
        self,
        page: Page,
        server: ScriptedServer,
        recordings: list[dict[str, Any]] | None = None,
        destinations: list[dict[str, Any]] | None = None,
    ):
        self.recordings, self.destinations = recordings or [], destinations or []
        self.refused: dict[str, dict[str, Any]] = {}
        """By the command's type: an error's fields."""
        session = '{"user": {"id": "ann", "name": "Ann"}, "token": "t", "dev": false}'
        page.evaluate("(session) => sessionStorage.setItem('galaxy-live.session', session)", session)
        self.page, self.server = page, server
        self.open()

    def open(self) -> None:
        self.page.goto(self.server.address + self.path)
        self.peer = self.server.accept()
        self.peer.welcome()
        threading.Thread(target=self._answer, args=(self.peer,)).start()
        self.page.get_by_test_id(self.shown).wait_for()

    def _answer(self, peer: Peer) -> None:
        try:
            while not peer.done.is_set():
                command = peer.receive()
                if "id" in command and command["type"] in self.refused:
                    peer.refuse(command, **self.refused[command["type"]])
                elif "id" in command:
                    peer.ok(command, **self._reply(command))
        except (ConnectionClosed, TimeoutError):
            return

    def _reply(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["type"]:
            case "recording.list":
                begin = int(command.get("cursor", 0))
                end = begin + command["limit"]
                more = {"cursor": str(end)} if end < len(self.recordings) else {}
                return {"recordings": self.recordings[begin:end]} | more
            case "recording.update":
                one = next(one for one in self.recordings if one["id"] == command["recording"])
                listed = {"state": "listed" if command["listed"] else "unlisted"} if "listed" in command else {}
                one |= listed | ({"title": command["title"]} if "title" in command else {})
                return {}
            case "recording.delete":
                self.recordings = [one for one in self.recordings if one["id"] != command["recording"]]
                return {}
            case "live.destination.list":
                return {"destinations": self.destinations}
            case "live.destination.update":
                one = next(one for one in self.destinations if one["id"] == command["destination"])
                one |= {name: command[name] for name in ("name", "url", "enabled") if name in command}
                return {"destination": one}
            case "live.destination.remove":
                self.destinations = [one for one in self.destinations if one["id"] != command["destination"]]
                return {}
            case "room.join":
                reply = REPLIES["room.join"](command)
                return reply | {"room": reply["room"] | {"kind": "live", "live": None}}
        answer = REPLIES.get(command["type"])
        return answer(command) if answer is not None else ANSWERS.get(command["type"], {})
