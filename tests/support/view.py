"""A listener of a room that holds what it hears against what it has heard before, and in the end against the log."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from rooms.actors import Actor
from rooms.events import Logged, MessageCreated
from tests.support.forms import JSON_LINES


class View:
    """A listener, and what it knows of the room: it checks each position as it hears it."""

    connection = None
    unsent = 0
    lagging = False
    form = JSON_LINES

    def __init__(self, user: str):
        self.user = user
        self.actor = Actor(user=user, name=user)
        self.busy: asyncio.Task[None] | None = None
        self.begin(None, "")
        self.joined = False
        self.sent_away = False

    def begin(self, pos: int | None, epoch: str) -> None:
        self.pos, self.epoch = pos, epoch
        self.types: dict[int, str] = {}
        self.texts: dict[int, str | None] = {}

    def out(self, frames: bytes) -> None:
        for line in frames.splitlines():
            self.hear(msgspec.json.decode(line))

    def hear(self, event: dict[str, Any]) -> None:
        if event["type"] == "room.reset":
            self.begin(event["pos"], event["epoch"])
            return
        if "pos" not in event and event["type"] != "room.skip":
            return
        first, last = (event["from"], event["to"]) if event["type"] == "room.skip" else (event["pos"], event["pos"])
        assert self.joined, f"{self.user} hears {event} without having joined"
        assert not self.sent_away, f"{self.user} was sent away, and hears {event}"
        assert self.pos is not None
        assert first == self.pos + 1, f"{self.user} is at {self.pos} and hears {event}"
        self.pos = last
        for pos in range(first, last + 1):
            self.types[pos] = event["type"]
        match event:
            case {"type": "message.created", "pos": target} | {"type": "message.edited", "target": target}:
                self.texts[target] = event["message"]["text"] if "message" in event else None
            case {"type": "message.deleted", "target": target}:
                self.texts[target] = None
            case {"type": "member.kicked" | "member.banned", "user": self.user}:
                self.sent_away = True

    def on_joined(self, reply: dict[str, Any], since: int | None) -> None:
        self.joined, self.sent_away = True, False
        if reply["recovered"]:
            assert since == self.pos
            for event in reply["events"]:
                self.hear(event)
            assert self.pos == reply["pos"]
            self.sent_away = False  # what was missed of that is over
        else:
            assert since is None or reply["epoch"] != self.epoch or reply["pos"] >= since, "the room has gone back"
            self.begin(reply["pos"], reply["epoch"])
        self.epoch = reply["epoch"]

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        self.joined = False

    def too_slow(self) -> None:
        raise AssertionError("nothing is slow here")

    def check(self, log: Mapping[int, Logged]) -> None:
        """That what was heard is what the log holds now."""
        for pos, kind in self.types.items():
            if kind != "room.skip":
                assert type(log[pos]).__struct_config__.tag == kind
        for pos, text in self.texts.items():
            event = log[pos]
            assert isinstance(event, MessageCreated)
            if self.types.get(pos) == "message.created":
                assert text == (event.message.text if event.message is not None else None), f"{self.user} at {pos}"
