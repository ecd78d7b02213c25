"""Clients that hold what they see against the log while nodes, Redis and PostgreSQL fail under them.

At each door (a node, or nginx before all) some send and one reads all rooms. What is acknowledged is in the log once,
where it was said to be; every reader sees every event of the log, in its order, once.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from realtime.client import Client, CommandError, MessageCreated, Reset, Skip
from tests.support.server import token

ROOMS = {"faults-live": "live", "faults-a": "group", "faults-b": "group"}
SENDERS = 2
PAUSE_SECONDS = 0.05
"""Between a sender's messages: there is to be load, but not too much to be waited for."""
PATIENCE_SECONDS = 90.0
DAY_SECONDS = 86_400
"""Tokens are good for so long: clocks jump."""


class View:
    """What one reader has seen of one room: up to `pos`, and of what has not been checked yet the texts."""

    def __init__(self, pos: int):
        self.pos = pos
        self.unchecked: dict[int, str | None] = {}

    def see(self, event: Any) -> None:
        assert not isinstance(event, Skip | Reset), f"{event} though nothing is hidden, and not so much was missed"
        assert event.pos == self.pos + 1, f"a reader at {self.pos} saw {event}"
        self.pos = event.pos
        said = isinstance(event, MessageCreated) and event.message is not None
        self.unchecked[event.pos] = event.message.text if said else None


class Crowd:
    def __init__(self, doors: Sequence[str], chance: random.Random):
        self.doors = doors
        self.longest_wait = self.longest_crossing = 0.0
        """Seconds until a message was acknowledged, and from the first reader that saw it to the last."""
        self.acknowledged = 0
        self._chance = chance
        self._talkers: list[Client] = []
        self._views: dict[str, list[View]] = {room: [] for room in ROOMS}
        self._logs: dict[str, list[str | None]] = {room: [] for room in ROOMS}
        self._said: set[str] = set()
        self._under_way: set[str] = set()
        self._given: dict[str, dict[int, str]] = {room: {} for room in ROOMS}
        self._first_seen: dict[tuple[str, int], tuple[float, int]] = {}
        self._more = asyncio.Event()
        self._numbers = itertools.count()

    async def come(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Lets all in; returns who is at work then."""
        working = []
        admin = await stack.enter_async_context(_client(self.doors[0], "admin", roles=["admin"]))
        for name, kind in ROOMS.items():
            await admin.command("room.create", kind=kind, title=name, visibility="public", room=name)
        for number, door in enumerate(self.doors):
            reader = await stack.enter_async_context(_client(door, f"reader-{number}"))
            for name in ROOMS:
                room = await stack.enter_async_context(reader.room(name))
                assert room.position is not None
                view = View(room.position.pos)
                self._views[name].append(view)
                working.append(tasks.create_task(self._read(name, room.events(), view)))
            for other in range(SENDERS):
                sender = await stack.enter_async_context(_client(door, f"sender-{number}-{other}"))
                for name in ROOMS:
                    await sender.command("member.join", room=name)
                working.append(tasks.create_task(self._send(sender)))
                if not other:
                    self._talkers.append(sender)
        return working

    async def _read(self, room: str, events: AsyncIterator[Any], view: View) -> None:
        async for event in events:
            if event.pos is None:
                continue
            view.see(event)
            now = time.monotonic()
            first, seen = self._first_seen.get((room, event.pos), (now, 0))
            if seen + 1 < len(self.doors):
                self._first_seen[room, event.pos] = first, seen + 1
            else:
                self._first_seen.pop((room, event.pos), None)
                self.longest_crossing = max(self.longest_crossing, now - first)
            self._more.set()

    async def _send(self, client: Client) -> None:
        while True:
            await self._say(client, self._chance.choice(list(ROOMS)))
            await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE_SECONDS))

    async def _say(self, client: Client, room: str) -> int:
        text = f"message {next(self._numbers)}"
        began = time.monotonic()
        self._under_way.add(text)
        pos = await said(client, room, text)
        self._under_way.discard(text)
        self._more.set()
        self.longest_wait = max(self.longest_wait, time.monotonic() - began)
        assert pos not in self._given[room], f"{pos} of {room} was given twice"
        self._given[room][pos] = text
        self.acknowledged += 1
        return pos

    async def until(self, true: Callable[[], bool]) -> None:
        """Looks whenever something has been seen, or acknowledged."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():
                self._more.clear()
                await self._more.wait()

    async def answered(self) -> None:
        """Returns once all that is being sent now has been acknowledged."""
        before = set(self._under_way)
        await self.until(lambda: not before & self._under_way)

    async def crossed(self) -> None:
        """Returns once a new message from each door, in each room, has been seen at each."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            ways = [(client, room) for client in self._talkers for room in ROOMS]
            positions = await asyncio.gather(*(self._say(client, room) for client, room in ways))
        for (_, room), pos in zip(ways, positions, strict=True):
            await self.until(lambda room=room, pos=pos: self._all_at(room, pos))  # type: ignore[misc]  # bound here

    def _all_at(self, room: str, pos: int) -> bool:
        return all(view.pos >= pos for view in self._views[room])

    async def check(self) -> None:
        """Holds all that was acknowledged and seen since the last time against the log. Raises AssertionError."""
        for room in ROOMS:
            log, given = self._logs[room], self._given[room]
            acknowledged = list(given)
            await self._read_log(room, log, max(acknowledged, default=0))
            for pos in acknowledged:
                text = given.pop(pos)
                assert log[pos - 1] == text, f"{room}: acknowledged {text!r} at {pos}, the log has {log[pos - 1]!r}"
            head = len(log)
            await self.until(lambda room=room, head=head: self._all_at(room, head))  # type: ignore[misc]  # bound here
            for view in self._views[room]:
                for pos in [pos for pos in view.unchecked if pos <= head]:
                    text_seen = view.unchecked.pop(pos)
                    assert text_seen == log[pos - 1], (
                        f"{room}: {text_seen!r} seen at {pos}, the log has {log[pos - 1]!r}"
                    )

    async def _read_log(self, room: str, log: list[str | None], to: int) -> None:
        """At least as far as a position: a node may be some moments behind the log."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            more = True
            while more or len(log) < to:
                page = await repeated(self._talkers[-1], "room.events", room=room, after=len(log), limit=200)
                for event in page["events"]:
                    assert event["pos"] == len(log) + 1, f"{room}: a hole between {len(log)} and {event['pos']}"
                    text = event["message"]["text"] if event["type"] == "message.created" else None
                    assert text is None or text not in self._said, f"{room}: {text!r} is in the log twice"
                    self._said |= {text} if text is not None else set()
                    log.append(text)
                more = page["more"]


@asynccontextmanager
async def crowd(doors: Sequence[str], chance: random.Random) -> AsyncIterator[Crowd]:
    """A crowd at work. What it finds wrong ends the block."""
    them = Crowd(doors, chance)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        working = await them.come(stack, tasks)
        yield them
        for task in working:
            task.cancel()


async def repeated(client: Client, type: str, /, **fields: Any) -> dict[str, Any]:
    """The reply to a command that is given again for as long as the server asks for that."""
    while True:
        try:
            return await client.command(type, **fields)
        except CommandError as error:
            if not error.retry:
                raise
            await asyncio.sleep((error.retry_after_ms or 100) / 1_000)


async def said(client: Client, room: str, text: str) -> int:
    """The position at which the message is in the log."""
    return int((await repeated(client, "message.send", key=text, room=room, text=text))["pos"])


def _client(url: str, user: str, **claims: Any) -> Client:
    credentials = token(user, ttl_seconds=DAY_SECONDS, **claims)
    return Client(url, token=credentials, backoff_base=0.05, backoff_cap=0.5, open_timeout=PATIENCE_SECONDS)
