"""What the HTTP connections of one process share: their bounds, the counts by address, and one timer for all."""

import asyncio
from collections import Counter
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Protocol

import msgspec

from realtime.gateway.addresses import Networks, is_within, limit_key

CONNECTION = "galaxy.connection"
"""An ASGI extension: `scope["extensions"][CONNECTION]["abort"]()` ends the connection there and then. What the kernel
has yet to send is lost, too.
"""


def nothing_to_release() -> None:
    """Of connections that count for no address."""


class HttpLimits(msgspec.Struct, frozen=True):
    """Bounds on what one client may make the server hold. For the two caps per address 0 means no cap."""

    head_bytes: int = 16 * 1024  # request line, headers and blank line; 431 above
    body_bytes: int = 1024 * 1024  # 413 above
    head_seconds: float = 10.0  # from the connection's opening, or a later request's first byte; 408 after
    body_seconds: float = 10.0  # from the head's end; 408 after
    incomplete_per_address: int = 100  # requests begun and not ended; 503 above
    open_per_address: int = 0  # connections, WebSockets and those passed to this process included; 503 above
    pipelined: int = 64  # requests waiting behind an open response; closed above
    stalled_seconds: float = 30.0  # a response of which the client reads nothing; aborted after
    linger_seconds: float = 2.0  # a refused client's time to read why; aborted after


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of an upgraded connection: `app_state["peer"]` of the `ws=` protocol.

    The protocol calls `release()` once in its `connection_lost`: the connection then stops counting for its address.
    """

    address: str  # the client's; behind a trusted proxy, the one the proxy names
    port: int  # 0 where a proxy named the client
    secure: bool  # TLS here, or at a trusted proxy
    release: Callable[[], None]


class Passes(Protocol):
    """Takes some upgrades for other processes (`realtime.http.stream`)."""

    def passes(self, scope: MutableMapping[str, Any], peer: Peer) -> asyncio.Protocol | None:
        """What is to have the connection of a request to upgrade; None: it is for us."""


class Checked(Protocol):
    """A connection as the edge's timer sees it."""

    loop: asyncio.AbstractEventLoop

    def check(self, now: float) -> None:
        """Called every second or so with the loop's time."""


class HttpEdge:
    """What the HTTP connections of one process share: limits, counts by address, counters, one timer for all."""

    def __init__(self, limits: HttpLimits, trusted: Networks) -> None:
        self.limits = limits
        self.trusted = trusted
        self.door: Passes | None = None
        self.refused: Counter[str] = Counter()
        self.incomplete: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.connections: set[Checked] = set()
        self._interval = min(1.0, limits.head_seconds / 4, limits.body_seconds / 4, limits.linger_seconds / 4)
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Checked) -> None:
        self.connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(self._interval, self._sweep, connection.loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for connection in tuple(self.connections):
            connection.check(now)
        if self.connections:
            self._timer = loop.call_later(self._interval, self._sweep, loop)

    def count_open(self, peer: str) -> Callable[[], None] | None:
        """Counts a connection of the peer's address: returns what is to be called at its end, once. None where the
        address has as many as it may. A trusted proxy's are those of many clients, and count for no address.
        """
        cap = self.limits.open_per_address
        if not cap or is_within(peer, self.trusted):
            return nothing_to_release
        key = limit_key(peer)
        if self.open[key] >= cap:
            return None
        self.open[key] += 1
        return partial(self.release, self.open, key)

    @staticmethod
    def release(counts: Counter[str], key: str) -> None:
        counts[key] -= 1
        if counts[key] <= 0:
            del counts[key]
