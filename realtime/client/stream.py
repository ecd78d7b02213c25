"""A bounded queue of events between the connection's reader and the application."""

import asyncio
from collections import deque

from realtime.client.events import Event, Position


class EventStream:
    """An async iterator over queued events. It ends after `close()`, with `error` raised where one was given.

    Events go to whoever asks first, so one task should iterate. `position` is the place in the log up to which
    events were handed out. Nothing here blocks a writer: who puts, asks `full` first and waits for `space`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.space = asyncio.Event()
        self.position: Position | None = None
        self.closed = False
        self._error: Exception | None = None
        self._items: deque[tuple[Event, Position | None]] = deque()
        self._ready = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._items) >= self.limit

    def put(self, event: Event, position: Position | None = None) -> None:
        if not self.closed:
            self._items.append((event, position))
            self._ready.set()

    def drop_oldest(self) -> None:
        self._items.popleft()

    async def until_space(self) -> None:
        while self.full and not self.closed:
            self.space.clear()
            await self.space.wait()

    def close(self, error: Exception | None = None) -> None:
        if not self.closed:
            self.closed, self._error = True, error
        self._ready.set()
        self.space.set()

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        while not self._items:
            if self.closed:
                raise self._error or StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        event, position = self._items.popleft()
        if position is not None:
            self.position = position
        self.space.set()
        return event
