"""Large replies, one at a time: what a client asks for waits until it has taken what it asked for before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rooms.errors import Rejected


class Pacing:
    """One connection's turns. However many rooms a client recovers at once, and however slowly it reads, no more than
    one large reply waits for it: so such replies need no bound, and are not held against it.
    """

    __slots__ = ("_drained", "_leaving", "_turn", "unsent")

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._drained = asyncio.Event()
        self._drained.set()
        self._leaving = False
        self.unsent = 0
        """Bytes of the reply that waits for the client."""

    async def answer(self, command: Any, answer: Callable[[Any], Awaitable[None]]) -> None:
        """Calls `answer` in its turn. Raises what it raises, and Rejected(`unavailable`) if the server goes first."""
        async with self._turn:
            if not self._drained.is_set():
                if not self._leaving:
                    await self._drained.wait()
                if self._leaving:
                    raise Rejected("unavailable", "The server is shutting down.", retry_after_ms=1_000)
            await answer(command)

    def filled(self, size: int) -> None:
        """So many bytes of a reply were written, and the client has not taken all that was written before."""
        self.unsent += size
        self._drained.clear()

    def drained(self) -> None:
        """The client has taken all but a little, or is gone."""
        self.unsent = 0
        self._drained.set()

    def leave(self) -> None:
        """The server goes: nobody is waited for."""
        self._leaving = True
        self._drained.set()
