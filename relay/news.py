"""What a gateway has to hear: said in order for each room, and again until it is heard."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from relay.ports import Refused

log = structlog.get_logger("relay.news")

FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
MOST_WAITING = 32
"""Of one room, while no gateway answers. Then the oldest is dropped, and counted: what a later publisher did outweighs
what an earlier one did.
"""
UNHEARD = frozenset({"unavailable", "internal"})
"""Codes of a gateway that has not heard. With any other it has, and does not want to know."""

Say = Callable[[], Awaitable[None]]


class News:
    """Call `close` at the end: what is not heard by then is dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: dict[str, deque[Say]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def say(self, room: str, say: Say) -> None:
        """`say` raises Refused where it was not heard, or not welcome."""
        waiting = self._waiting.setdefault(room, deque())
        if len(waiting) >= MOST_WAITING:
            waiting.popleft()
            self.dropped += 1
        waiting.append(say)
        if room not in self._tasks:
            self._tasks[room] = asyncio.get_running_loop().create_task(self._say_all(room, waiting))

    async def settle(self, seconds: float = 2.0) -> None:
        """Returns when all is heard, or that time is over."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _say_all(self, room: str, waiting: deque[Say]) -> None:
        delay = FIRST_DELAY
        try:
            while waiting:
                say = waiting[0]
                try:
                    await say()
                except Refused as refused:
                    if refused.code in UNHEARD:
                        await asyncio.sleep(delay)
                        delay = min(LONGEST_DELAY, 2 * delay)
                        continue
                    log.info("gateway_refused", room=room, reason=refused.message)
                delay = FIRST_DELAY
                if waiting and waiting[0] is say:
                    waiting.popleft()
        finally:
            del self._tasks[room], self._waiting[room]
