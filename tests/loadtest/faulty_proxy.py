"""A proxy that loses, doubles or swaps single events on their way from the server to the clients."""

import asyncio
import random
from collections import Counter
from typing import cast

from loadtest.wire import frame_at

DROP, DOUBLE, REORDER = "drop", "double", "reorder"
FOUND_AS = {DROP: "hole", DOUBLE: "double", REORDER: "order"}
"""What the load generator calls it."""
HOLD = 1.0
"""Seconds that an event is held back for another to overtake it; if none comes, nothing was planted."""


class Plan:
    """Which of all events that pass are tampered with: in each block of `every` one, by the `kinds` in turn; with
    `at`, the event of that number, and no other. `planted` counts.
    """

    def __init__(self, kinds: list[str], every: int, at: int | None = None, seed: int = 1):
        self.planted: Counter[str] = Counter()
        self.passed = 0
        self._kinds = kinds
        self._every = every
        self._chance = random.Random(seed)
        self._once = at is not None
        self._turn = 0
        self._block = 0
        self._next = (at if at is not None else self._chance.randrange(every)) if kinds else -1

    def fault(self) -> str | None:
        """What is to become of the next event."""
        number, self.passed = self.passed, self.passed + 1
        if number != self._next:
            return None
        kind = self._kinds[self._turn % len(self._kinds)]
        self._turn += 1
        self._block += 1
        self._next = -1 if self._once else self._block * self._every + self._chance.randrange(self._every)
        return kind


class FaultyProxy:
    """Within an `async with`: listens on `port` of 127.0.0.1 and passes on to the server's."""

    def __init__(self, server_port: int, plan: Plan):
        self.port = 0
        self.plan = plan
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()

    async def __aenter__(self) -> "FaultyProxy":
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _FromClient(self), "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
            for transport in list(self._open):
                transport.abort()
            await self._listener.wait_closed()

    async def connect(self, client: "_FromClient") -> None:
        upstream = _FromServer(self, client)
        await asyncio.get_running_loop().create_connection(lambda: upstream, "127.0.0.1", self._server_port)
        client.connected(upstream)

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)


class _Half(asyncio.Protocol):
    """One of the two sockets of a connection."""

    def __init__(self, proxy: FaultyProxy):
        self.proxy = proxy
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.proxy.opened(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self.proxy.closed(self.transport)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


class _FromClient(_Half):
    """Passed on as it is."""

    def __init__(self, proxy: FaultyProxy):
        super().__init__(proxy)
        self._early = b""
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self.proxy.connect(self))

    def connected(self, upstream: "_FromServer") -> None:
        self.other = upstream
        upstream.write(self._early)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)
        else:
            self._early += data


class _FromServer(_Half):
    """Looked at frame by frame, once it is a WebSocket."""

    def __init__(self, proxy: FaultyProxy, client: _FromClient):
        super().__init__(proxy)
        self.other = client
        self._client = client
        self._rest = b""
        self._head = True
        self._plain = False
        self._held: tuple[bytes, asyncio.TimerHandle] | None = None

    def data_received(self, data: bytes) -> None:
        if self._plain:
            self._client.write(data)
            return
        data = self._rest + data
        at = 0
        if self._head:
            head, end, _ = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            self._head = False
            at = len(head) + len(end)
            if not head.startswith(b"HTTP/1.1 101 "):
                self._plain = True
                self._client.write(data)
                return
        start, out = 0, []
        while (found := frame_at(data, at)) is not None:
            _, payload, end_at = found
            if data.find(b"message.created", payload, payload + 40) >= 0:
                fault = self.proxy.plan.fault()
                if fault is not None or self._held is not None:
                    out.append(data[start:at])
                    out.append(self._tampered(data[at:end_at], fault))
                    start = end_at
            at = end_at
        out.append(data[start:at])
        self._client.write(b"".join(out))
        self._rest = data[at:]

    def _tampered(self, frame: bytes, fault: str | None) -> bytes:
        planted = self.proxy.plan.planted
        if self._held is not None:
            earlier, timer = self._held
            timer.cancel()
            self._held = None
            planted[REORDER] += 1
            return frame + earlier
        if fault == REORDER:
            self._held = (frame, asyncio.get_running_loop().call_later(HOLD, self._let_go))
            return b""
        planted[fault or ""] += 1
        return b"" if fault == DROP else frame + frame

    def _let_go(self) -> None:
        if self._held is not None:
            self._client.write(self._held[0])
            self._held = None
