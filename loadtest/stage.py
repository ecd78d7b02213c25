"""What a scenario is played on: the server, its rooms, and the processes that hold the connections."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

from loadtest import orders as o
from loadtest.client import Client
from loadtest.codec import JSON
from loadtest.crew import Crew
from loadtest.options import Options
from loadtest.recorder import Recorder
from loadtest.results import Failure, Second
from loadtest.schedule import SECOND, Schedule
from loadtest.stream import Account
from loadtest.tokens import token
from loadtest.waiting import holds
from loadtest.watch import Watch

DIRECTOR = "director"
"""The user who makes the rooms, and owns them."""
AHEAD = 0.3
"""Seconds from an order to the first scheduled moment, for it to reach all processes."""
IN_FLIGHT = 200
"""Of the director's commands."""


class Stage:
    def __init__(
        self, options: Options, host: str, port: int, secret: str, crew: Crew, watch: Watch, recorder: Recorder
    ):
        self.options = options
        self.crew = crew
        self.figures: dict[str, float] = {}
        self.rooms: list[str] = []
        self.started = time.monotonic_ns()
        self.watch = watch
        self.recorder = recorder
        self.scrape = True
        """Whether the server's metrics are read: that costs it time."""
        self.abandoned = asyncio.Event()
        """Set when the server has ended the director's connection: the run cannot go on."""
        self._address = (host, port)
        self._secret = secret
        self.last_answer = 0
        """When the last message was acknowledged, of time.monotonic_ns, as of the last `settle`."""
        self._sent = 0
        self.director = Client(DIRECTOR, token(secret, DIRECTOR, "Director"), JSON, self._director_lost)

    @property
    def now(self) -> int:
        """The second of the run."""
        return self.second_of(time.monotonic_ns())

    def _director_lost(self, _: Client, error: Exception) -> None:
        self.recorder.fail(Failure(kind="lost", text=f"{DIRECTOR}: {error}"))
        self.abandoned.set()

    def second_of(self, moment: int) -> int:
        """The second of the run in which a moment of time.monotonic_ns lies."""
        return (moment - self.started) // SECOND

    @property
    def seconds(self) -> list[Second]:
        """Those that are complete."""
        return self.recorder.seconds

    async def recorded(self) -> None:
        """Waits until all that has happened so far is in `seconds`."""
        now = self.now
        await holds(lambda: bool(self.seconds) and self.seconds[-1].at >= now, self.options.patience)

    # Setting up

    async def open(self) -> None:
        """Connects the director, makes the rooms and starts the processes. Raises Lost, OSError."""
        await self.director.connect(*self._address)
        await self.make_rooms()
        await self.crew.start(
            [
                o.Task(self.options, *self._address, self._secret, index, self.started)
                for index in range(self.options.processes)
            ]
        )

    async def make_rooms(self) -> None:
        name = secrets.token_hex(4)
        settings = {"write": "everyone"} if self.options.kind == "live" else {}
        replies = await self.ask_all(
            {
                "type": "room.create",
                "kind": self.options.kind,
                "title": f"Load {name}-{i}",
                "visibility": "public",
                "settings": settings,
            }
            for i in range(self.options.rooms)
        )
        self.rooms = [reply.room["id"] for reply in replies]

    async def ask_all(self, commands: Iterable[dict[str, Any]]) -> list[Any]:
        """The director's commands, several at a time. Raises Lost."""
        free = asyncio.Semaphore(IN_FLIGHT)

        async def ask(command: dict[str, Any]) -> Any:
            async with free:
                return await self.director.ask(command)

        return await asyncio.gather(*map(ask, commands))

    async def gather_crowd(self) -> None:
        """All connect and join their rooms. Raises Stopped."""
        await self.crew.order(o.Connect())
        await self.crew.order(o.Join(self.rooms))
        await self.settle(check=False)

    # Under load

    def schedule(self, seconds: float, burst: float = 1.0) -> Schedule:
        """From soon on, at the options' rate."""
        start = time.monotonic_ns() + int(AHEAD * SECOND)
        return Schedule(start=start, rate=self.options.rate, count=round(seconds * self.options.rate), burst=burst)

    async def send(self, schedule: Schedule, timed: bool, zipf: bool = False) -> None:
        """All by the schedule. Raises Stopped."""
        order = o.Send(schedule, self._sent, timed, zipf)
        self._sent += schedule.count
        await self.crew.order(order)

    async def act(self, schedule: Schedule) -> None:
        """People do what they do in groups, by the schedule. Raises Stopped."""
        order = o.Act(schedule, self._sent)
        self._sent += schedule.count
        await self.crew.order(order)

    async def settle(self, said: dict[str, o.Acknowledged] | None = None, check: bool = True) -> int:
        """Waits until everybody has received everything, and holds what each process has received since the last call
        against what was acknowledged, `said` by the director included. Returns how many messages that was.

        Raises Stopped.
        """
        patience = self.options.patience
        acknowledged = said or {}
        for settled in await self.crew.order(o.Settle(patience), o.Settled):
            self.last_answer = max(self.last_answer, settled.last)
            for room, part in settled.rooms.items():
                whole = acknowledged.setdefault(room, o.Acknowledged())
                whole.pos = max(whole.pos, part.pos)
                whole.messages += part.messages
                whole.text_sum += part.text_sum
        positions = {room: whole.pos for room, whole in acknowledged.items()}
        found = await self.crew.order(o.CatchUp(positions, patience), o.CaughtUp)
        if check:
            for text in differences(acknowledged, [process.rooms for process in found]):
                self.recorder.fail(Failure(kind="rooms", text=text))
        return sum(whole.messages for whole in acknowledged.values())


def differences(acknowledged: dict[str, o.Acknowledged], received: list[dict[str, Account]]) -> Iterator[str]:
    """What the processes have received of each room, where it is not what was acknowledged or what others received.
    Where a room skips positions, processes may have received others; they end at the same all the same.
    """
    for room, sent in acknowledged.items():
        accounts = [account for process in received if (account := process.get(room)) is not None]
        for account in accounts:
            whole = account.messages == sent.messages and account.text_sum == sent.text_sum
            part = account.skipped and account.messages <= sent.messages <= account.messages + account.skipped
            if not (whole or part):
                yield f"room {room}: {sent.messages} messages acknowledged, {account.messages} received, or others"
            elif account.pos != sent.pos:
                yield f"room {room}: one process has come to position {account.pos}, another to {sent.pos}"
        if len({account.digest for account in accounts if not account.skipped}) > 1:
            yield f"room {room}: not all processes have received the same bytes"
