"""fMP4 over WebSocket: each part is one frame, and one write of the same bytes to every viewer.

Written in slices, a few milliseconds at a time, to sockets where nothing waits (docs/decisions/0012). A viewer for
whom too much waits is left out until all of it has gone, and goes on with the newest part that begins with a keyframe.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from socket import SocketType
from time import perf_counter
from typing import Protocol

from msgspec import Struct

SLICE = 64
"""Viewers written to between looks at the clock."""
TURN_SECONDS = 0.004


class Viewer(Protocol):
    """One connection that watches."""

    socket: SocketType | None

    @property
    def clear(self) -> bool:
        """Whether its socket may be written to."""

    def part(self, number: int, frame: bytes, independent: bool) -> None:
        """The part, by way of the connection, or to be skipped."""

    def said(self, frame: bytes) -> None:
        """A text of the stream's, by way of the connection: it is not skipped."""

    def rest(self, frame: bytes | memoryview) -> None:
        """What the socket did not take."""


class Counters(Struct):
    parts: int = 0
    bytes: int = 0
    skipped: int = 0
    """Parts that slow viewers were spared."""


class _Writing(Struct):
    """A part on its way: to whom it has still to be written."""

    number: int
    frame: bytes
    independent: bool
    text: bool
    clear: dict[Viewer, SocketType]
    others: dict[Viewer, None]


class Audience:
    """Those who watch one stream. Who comes is given what it needs first by the caller, and is here from the next part
    on. `let_go` is `loop.call_soon` or its like.
    """

    def __init__(self, counters: Counters, let_go: Callable[[Callable[[], None]], object] | None = None):
        self.counters = counters
        self._clear: dict[Viewer, SocketType] = {}
        self._others: dict[Viewer, None] = {}
        self._tick: deque[_Writing] = deque()
        self._turning = False
        self._let_go = let_go or asyncio.get_running_loop().call_soon

    def __len__(self) -> int:
        return len(self._clear) + len(self._others)

    def __iter__(self) -> Iterable[Viewer]:
        return iter((*self._clear, *self._others))

    def add(self, viewer: Viewer) -> None:
        if viewer.clear and viewer.socket is not None:
            self._clear[viewer] = viewer.socket
        else:
            self._others[viewer] = None

    def waits(self, viewer: Viewer) -> None:
        """Its socket may not be written to until `drained`."""
        if self._clear.pop(viewer, None) is not None:
            self._others[viewer] = None
        for writing in self._tick:
            if writing.clear.pop(viewer, None) is not None:
                writing.others[viewer] = None

    def drained(self, viewer: Viewer) -> None:
        """It has taken all that waited. What is on its way to it still goes through its connection."""
        if viewer in self._others and viewer.clear and not any(viewer in one.others for one in self._tick):
            del self._others[viewer]
            self.add(viewer)

    def remove(self, viewer: Viewer) -> None:
        """Before its socket is closed."""
        self._clear.pop(viewer, None)
        self._others.pop(viewer, None)
        for writing in self._tick:
            writing.clear.pop(viewer, None)
            writing.others.pop(viewer, None)

    def settle_one(self, viewer: Viewer) -> None:
        """It is given on its own the parts that are on their way to it; texts are said now."""
        for writing in self._tick:
            there = writing.clear.pop(viewer, None) is not None
            there = viewer in writing.others or there
            writing.others.pop(viewer, None)
            if there and writing.text:
                viewer.said(writing.frame)

    def publish(self, number: int, frame: bytes, independent: bool, *, text: bool = False) -> None:
        """To all, in the order of the calls. `text`: no part, so it is not skipped."""
        if not len(self):
            return
        self._tick.append(_Writing(number, frame, independent, text, dict(self._clear), dict(self._others)))
        if not self._turning:
            self._turning = True
            self._turn()

    def settle(self) -> None:
        """Writes all that is on its way now, however long that takes: something else is to come behind it."""
        while self._tick:
            self._go_on(float("inf"))

    def _turn(self) -> None:
        self._go_on(perf_counter() + TURN_SECONDS)
        if self._tick:
            self._let_go(self._turn)
        else:
            self._turning = False

    def _go_on(self, until: float) -> None:
        while self._tick:
            writing = self._tick[0]
            while writing.clear or writing.others:
                if writing.clear:
                    self._to_sockets(writing)
                else:
                    for _ in range(min(SLICE, len(writing.others))):
                        viewer = next(iter(writing.others))
                        del writing.others[viewer]
                        if writing.text:
                            viewer.said(writing.frame)
                        else:
                            viewer.part(writing.number, writing.frame, writing.independent)
                if perf_counter() > until:
                    return
            self._tick.popleft()
            self.counters.parts += 1

    def _to_sockets(self, writing: _Writing) -> None:
        frame, clear = writing.frame, writing.clear
        size, count = len(frame), min(SLICE, len(clear))
        for _ in range(count):
            viewer, socket = clear.popitem()
            try:
                sent = socket.send(frame)
            except OSError:
                sent = 0  # its transport finds the same
            if sent != size:
                viewer.rest(memoryview(frame)[sent:])
        self.counters.bytes += count * size
