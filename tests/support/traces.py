"""Traces that are kept where they are made, for a test to look at."""

from typing import Any

from realtime.tracing import Step


class TraceKept:
    """`told` is what it has been told, in order: steps, what figures an end came with, the answer's code."""

    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def __init__(self) -> None:
        self.told: list[Any] = []

    @property
    def steps(self) -> list[Any]:
        """Without the ends."""
        return [one for one in self.told if isinstance(one, str)]

    def step(self, name: Step, **figures: int) -> None:
        self.told.append(name)

    def end(self, **figures: int) -> None:
        self.told.append(figures)

    def answered(self, code: str) -> None:
        self.told.append(f"answered {code}")
