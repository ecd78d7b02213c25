"""A run's seconds, put together from those of its processes and what was seen of the server."""

from typing import Protocol

from loadtest.merge import add
from loadtest.results import Failure, Second

FAILURES = 100
"""Failures that are kept; all are counted."""


class Observer(Protocol):
    """Is shown a run while it lasts."""

    def update(self, second: Second, failed: int) -> None:
        """One more second of all processes together, in order of `at`; `failed` counts the failures so far."""


class Recorder:
    def __init__(self, processes: int, observer: Observer | None):
        self.seconds: list[Second] = []
        """Those of which all is known."""
        self.failures: list[Failure] = []
        self.failed = 0
        self._observer = observer
        self._open: dict[int, list[Second]] = {}
        self._reported = [-1] * (processes + 1)
        """The last second of each process, and of the server."""
        self._server: dict[int, dict[str, float]] = {}

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES:
            self.failures.append(failure)

    def sampled(self, at: int, server: dict[str, float]) -> None:
        """What was seen of the server in that second; nothing where it was too busy."""
        self._server[at] = server
        self._told(-1, at)

    def tick(self, process: int, second: Second) -> None:
        """One process's second. A process that was too busy leaves some out: then the next one stands for them too."""
        self._open.setdefault(second.at, []).append(second)
        self._told(process, second.at)

    def _told(self, index: int, at: int) -> None:
        self._reported[index] = at
        self._close(min(self._reported))

    def close(self) -> None:
        """No more will come."""
        self._close(max(self._open, default=-1))

    def _close(self, last: int) -> None:
        for at in sorted(at for at in self._open if at <= last):
            second = add(at, self._open.pop(at))
            second.server = self._server.pop(at, {})
            self.seconds.append(second)
            if self._observer is not None:
                self._observer.update(second, self.failed)
