"""Large replies, one at a time: what a client asks for waits until it has taken what it asked for before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rooms.errors import Rejected


class Pacing:
    """One connection's turns. However many rooms a client recovers at once, and however slowly it reads, no more than
    one large reply waits for it: so such replies need no bound, and are not held against it.
    """

    __slots__ = ("_drained", "_leaving", "_turn", "_turns", "unsent")

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._turns = 0
        self._drained: asyncio.Future[None] | None = None
        self._leaving = False
        self.unsent = 0
        """Bytes of the reply that waits for the client."""

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with this object."""
        return not (self._turns or self.unsent or self._leaving)

    async def answer(self, command: Any, answer: Callable[[Any], Awaitable[None]]) -> None:
        """Calls `answer` in its turn. Raises what it raises, and Rejected(`unavailable`) if the server goes first."""
        self._turns += 1
        try:
            async with self._turn:
                if self.unsent:
                    if not self._leaving:
                        self._drained = asyncio.get_running_loop().create_future()
                        await self._drained
                    if self._leaving:
                        raise Rejected("unavailable", "The server is shutting down.", retry_after_ms=1_000)
                await answer(command)
        finally:
            self._turns -= 1

    def filled(self, size: int) -> None:
        """So many bytes of a reply were written, and the client has not taken all that was written before."""
        self.unsent += size

    def drained(self) -> None:
        """The client has taken all but a little, or is gone."""
        self.unsent = 0
        self._wake()

    def leave(self) -> None:
        """The server goes: nobody is waited for."""
        self._leaving = True
        self._wake()

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
