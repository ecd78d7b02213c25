"""What of a run counts: not its beginning, not its end."""

from time import perf_counter

from msgspec import Struct

from loadtest.bench.clocks import Clocks

WARM_UP = 0.15
"""Seconds of the same load before each measurement."""


class Figure(Struct, frozen=True):
    """One measurement of one server."""

    deliveries_per_second: float
    microseconds: float
    """Of the server's processor time, a delivery."""
    server_cpu: float
    """Share of a core, all threads and child processes."""
    client_cpu: float
    """Share of a core."""
    p50: float
    """Milliseconds from sending until the last subscriber had it."""
    p99: float


class Taken(Struct):
    """What a run took, from the end of one message to the end of another."""

    messages: int = 0
    seconds: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    """Seconds of processor time."""
    waits: list[tuple[float, int]] = []
    """Seconds from sending until the last subscriber had it, and how many messages took that."""

    def figure(self, listeners: int) -> Figure:
        """`listeners` of each message."""
        deliveries = self.messages * listeners
        return Figure(
            deliveries_per_second=deliveries / self.seconds,
            microseconds=1e6 * self.server_cpu / deliveries,
            server_cpu=self.server_cpu / self.seconds,
            client_cpu=self.client_cpu / self.seconds,
            p50=1e3 * self.percentile(0.50),
            p99=1e3 * self.percentile(0.99),
        )

    def percentile(self, share: float) -> float:
        """Nearest rank, in seconds."""
        left = share * sum(count for _, count in self.waits)
        for wait, count in sorted(self.waits):
            left -= count
            if left <= 0:
                return wait
        raise ValueError("nothing was measured")


class Timing:
    """Told of each message that is done; `over` once enough has been measured and no more is to be sent."""

    def __init__(self, clocks: Clocks, warm_up: float, seconds: float):
        self.taken = Taken()
        self.over = False
        self._clocks = clocks
        self._seconds = seconds
        self._counting = False
        self._began = 0.0
        self._until = perf_counter() + warm_up

    def done(self, now: float, waits: list[tuple[float, int]]) -> None:
        """`waits` as in Taken, of the messages that are done since the last call; `now` on time.perf_counter."""
        if self.over:
            return
        if self._counting:
            self.taken.messages += sum(count for _, count in waits)
            self.taken.waits += waits
        if now < self._until:
            return
        server, client = self._clocks.read()
        if self._counting:
            self.taken.seconds = now - self._began
            server, client = server - self.taken.server_cpu, client - self.taken.client_cpu
            self.over = True
        else:
            self._began, self._until = now, now + self._seconds
            self._counting = True
        self.taken.server_cpu, self.taken.client_cpu = server, client
