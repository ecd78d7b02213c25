"""Names of destinations, looked up in threads: of each creator one at a time."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from relay.threads import DaemonExecutor

MOST = 64
"""Look-ups under way, each of another creator."""
SECONDS = 5.0
"""How long one is waited for, with those of the same creator before it."""

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a port, as text. Raises OSError."""


class TooMany(OSError):
    """No thread is free."""


class Lookups:
    """Of one process. A creator whose names no name server answers for waits for them alone: nobody else does, unless
    MOST have such names. A look-up that nobody waits for any more keeps its place until the system has given it up,
    which may take minutes.
    """

    def __init__(self) -> None:
        self.refused = 0
        """Look-ups for which there was no thread."""
        self._threads = DaemonExecutor(MOST, "names")
        self._running: dict[str, asyncio.Future[list[str]]] = {}
        """By creator."""

    @property
    def running(self) -> int:
        return len(self._running)

    async def look_up(self, creator: str, host: str, port: int) -> list[str]:
        """In the order of preference. Raises OSError where there is none, or none was found in SECONDS, and TooMany."""
        try:
            async with asyncio.timeout(SECONDS):
                while (former := self._running.get(creator)) is not None:
                    await asyncio.wait([former])
                return await asyncio.shield(self._begin(creator, host, port))
        except TimeoutError:
            raise OSError(f"its name was not found within {SECONDS:g} s") from None

    def _begin(self, creator: str, host: str, port: int) -> asyncio.Future[list[str]]:
        if len(self._running) >= MOST:
            self.refused += 1
            raise TooMany("too many names are being looked up")
        found = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port)
        self._running[creator] = found
        found.add_done_callback(lambda _: self._running.pop(creator))
        return found


def _addresses(host: str, port: int) -> list[str]:
    return [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
