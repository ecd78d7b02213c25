"""One question to the store for what many connections ask at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

from realtime import ports

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

TOGETHER = 256
"""Keys asked for at once."""
REST_SECONDS = 0.005
"""After each question: when many come, more of them are asked for at once, and each costs less."""
WAITING = 16_384
"""Who may wait for an answer; above, `unavailable`."""


class Gathering(Generic[K, V]):
    """Answers for single keys, from questions about many: one is under way, and the next is for all who have come
    meanwhile. So nobody is given an answer from before they asked, and nobody waits long where little is asked.
    """

    def __init__(self, ask: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]):
        self._ask = ask
        self._waiting: deque[tuple[K, asyncio.Future[V | None]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """What there is of the key; None where there is nothing. Raises what asking raises, and Unavailable."""
        if len(self._waiting) >= WAITING:
            raise ports.Unavailable("too many wait for the store")
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
                await self._answer(asked)
                await asyncio.sleep(REST_SECONDS)
        finally:
            self._asking = None

    async def _answer(self, asked: list[tuple[K, asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._ask({key for key, _ in asked})
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for key, answer in asked:
            if not answer.done():
                answer.set_result(found.get(key))
