"""What people do in groups, chosen by chance, the same in every process: who does what, and in which of their rooms."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from loadtest.client import Client, Lost, accepted
from loadtest.codec import Seen
from loadtest.crowd import Crowd
from loadtest.feed import Place
from loadtest.orders import Acknowledged
from loadtest.schedule import SECOND
from loadtest.texts import say, texts
from loadtest.waiting import until

HABITS = {"send": 40, "typing": 25, "read": 25, "react": 8, "reconnect": 2}
"""What is done how often, in percent."""
EMOJI = ("👍", "❤️", "😂", "🎉", "😮", "😢")
AWAY = (0.5, 3.0)
"""Seconds that somebody is away who reconnects."""
BACK_WITHIN = 60.0
"""Seconds after which somebody who has not come back has failed."""


class Deed(NamedTuple):
    number: int
    """Of the connection."""
    what: str
    chance: float
    """From 0 to 1, for all else that is to be chosen."""


def deeds(count: int, connections: int, seed: int) -> Iterator[Deed]:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    habits = [habit for habit, percent in HABITS.items() for _ in range(percent)]
    for _ in range(count):
        yield Deed(int(chance.random() * connections), habits[int(chance.random() * 100)], chance.random())


class People:
    """The crowd as people. What they say is timed."""

    def __init__(self, crowd: Crowd):
        self._crowd = crowd
        self._texts = texts(crowd.options.text)
        self._away: set[asyncio.Task[None]] = set()
        self._do: dict[str, Callable[[Client, Place, Deed, int, int], None]] = {
            "send": self._send,
            "typing": self._type,
            "read": self._read,
            "react": self._react,
            "reconnect": self._reconnect,
        }

    def do(self, deed: Deed, due: int, number: int) -> None:
        """One of their deeds, the number of it unique in the run. Who is away just now does nothing."""
        client = self._crowd.client(deed.number)
        places = list(client.feed.places.values())
        if client.connected and places:
            place = places[int(deed.chance * len(places))]
            self._do[deed.what](client, place, deed, due, number)

    async def all_back(self) -> None:
        if self._away:
            await asyncio.wait(self._away)

    def _send(self, client: Client, place: Place, deed: Deed, due: int, number: int) -> None:
        text = say(due, number, self._texts[number % len(self._texts)])
        self._crowd.say(client, place.stream.room, text, str(number), due)

    def _type(self, client: Client, place: Place, deed: Deed, due: int, number: int) -> None:
        client.send({"type": "typing", "room": place.stream.room}, None)

    def _read(self, client: Client, place: Place, deed: Deed, due: int, number: int) -> None:
        command = {"type": "read.mark", "room": place.stream.room, "pos": place.reached}
        client.send(command, partial(self._answered, command))

    def _react(self, client: Client, place: Place, deed: Deed, due: int, number: int) -> None:
        room = place.stream.room
        latest = self._crowd.latest.get(room)
        if latest is not None:
            emoji = EMOJI[int(deed.chance * 1_000) % len(EMOJI)]
            command: dict[str, object] = {"type": "message.react", "room": room, "target": latest, "emoji": emoji}
            client.send(command, partial(self._answered, command))

    def _reconnect(self, client: Client, place: Place, deed: Deed, due: int, number: int) -> None:
        if client.busy:
            return  # what a reply is still to come for may have been written, or not
        client.drop()
        shortest, longest = AWAY
        back = time.monotonic_ns() + int((shortest + deed.chance * (longest - shortest)) * SECOND)
        task = asyncio.create_task(self._come_back(client, back))
        self._away.add(task)
        task.add_done_callback(self._away.discard)

    async def _come_back(self, client: Client, back: int) -> None:
        await until(back)
        try:
            await self._crowd.come_back(client, back, back + int(BACK_WITHIN * SECOND))
        except Lost as error:
            self._crowd.fail("lost", str(error))

    def _answered(self, command: dict[str, object], reply: Seen) -> None:
        try:
            accepted(command, reply)
        except Lost as error:
            self._crowd.fail("error", f"room {command['room']}: {error}")
            return
        if reply.pos is not None:
            found = self._crowd.acknowledged.setdefault(str(command["room"]), Acknowledged())
            found.pos = max(found.pos, reply.pos)
