"""How many are let in at once: the rest waits in a queue, first come first served, and not for ever."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from types import TracebackType

from realtime import ports

RETRY_MS = 1_000


class Places:
    """`async with` a place: enters where one is free, else waits for one.

    However many come at once, no more than `most` of them are served within one turn of the event loop, and between
    turns all others have theirs. Who has waited `wait_seconds` is refused with Unavailable, to come back within as long
    again: at random, or they would all be back together.
    """

    def __init__(self, most: int, wait_seconds: float, waited: Callable[[float], None]):
        """`waited` is told of the seconds that somebody waited who was then let in."""
        self.refused = 0
        self._free = most
        self._wait = wait_seconds
        self._waited = waited
        self._queue: deque[tuple[float, asyncio.Future[None]]] = deque()
        """When they came, on the loop's clock."""
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def __aenter__(self) -> None:
        """Raises Unavailable."""
        if self._free and not self._queue:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._queue.append((loop.time(), place))
        if self._timer is None:
            self._timer = loop.call_later(self._wait, self._refuse)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        """The place is free from the loop's next turn on."""
        if not self._left:
            asyncio.get_running_loop().call_soon(self._let_in)
        self._left += 1

    def _let_in(self) -> None:
        self._free += self._left
        self._left = 0
        now = asyncio.get_running_loop().time()
        while self._free and self._queue:
            came, place = self._queue.popleft()
            if not place.done():
                self._free -= 1
                self._waited(now - came)
                place.set_result(None)

    def _refuse(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._queue:
            came, place = self._queue[0]
            if came + self._wait > loop.time():
                self._timer = loop.call_at(came + self._wait, self._refuse)
                return
            self._queue.popleft()
            if not place.done():
                self.refused += 1
                retry = RETRY_MS + random.randint(0, round(self._wait * 1_000))  # noqa: S311 - spreads load, guards nothing
                place.set_exception(ports.Unavailable("too many are coming in", retry))
