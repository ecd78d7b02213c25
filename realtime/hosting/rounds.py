"""Rounds: all rooms that have something to decide, decided and written together.

Rooms that ask within one turn of the event loop are in the same round: one task, one call of the store, one
hand-over to its thread, however many rooms they are. Where the store writes in several lanes, that is so for the rooms
of each: a lane that is slow makes no other wait. A room is in one round at a time; rounds may overlap.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from realtime import ports
from rooms.effects import Effect
from rooms.events import Logged


class Written(Struct, frozen=True):
    """What there now is of one room: events, the first `others` of which another node has written, and each effect with
    the position that its command was given.
    """

    events: Sequence[Logged] = ()
    effects: Sequence[tuple[Effect, int | None]] = ()
    others: int = 0


class Party(Protocol):
    """A room in a round. None of these raises."""

    def decide(self) -> ports.Batch | None:
        """Decides what waits. Returns what is to be written, or None where nothing is, or not yet."""

    def settle(self, outcome: ports.Appended | Exception) -> Written:
        """The batch was written, or it was not: answers its commands."""

    def follow(self, written: Written) -> None:
        """The answers are on their way: tells all others."""


class Rounds:
    """`answering` is entered while commands are answered, which waits for nothing: answers may be held until it ends.
    `durable` is told of each round: seconds from handing it to the store until it was durable, and its events.
    """

    def __init__(
        self, store: ports.Store, answering: AbstractContextManager[object], durable: Callable[[float, int], None]
    ):
        self._store = store
        self._answering = answering
        self._durable = durable
        self._waiting: list[Party] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def ask(self, party: Party) -> None:
        """The room takes part in the next round. It asks again only after that."""
        self._waiting.append(party)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        parties, self._waiting = self._waiting, []
        with self._answering:
            decided = [(party, batch) for party in parties if (batch := party.decide()) is not None]
        lanes: dict[int, list[tuple[Party, ports.Batch]]] = {}
        for one in decided:
            lanes.setdefault(self._store.lane(one[1].room), []).append(one)
        for together in lanes.values():
            task = asyncio.get_running_loop().create_task(self._write(together))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _write(self, decided: list[tuple[Party, ports.Batch]]) -> None:
        outcomes: Sequence[ports.Appended | Exception]
        began = time.perf_counter()
        try:
            outcomes = await self._store.append_all([batch for _, batch in decided])
        except Exception as error:
            outcomes = [error] * len(decided)
        else:
            written = sum(len(outcome.events) for outcome in outcomes if isinstance(outcome, ports.Appended))
            self._durable(time.perf_counter() - began, written)
        with self._answering:
            settled = [(party, party.settle(outcome)) for (party, _), outcome in zip(decided, outcomes, strict=True)]
        for party, what in settled:
            party.follow(what)
