"""What galaxy-live is held to beside the others."""

from msgspec import Struct

from loadtest.bench.plan import EACH, MUST, ROOMS
from loadtest.bench.results import Comparison, Configuration
from loadtest.confidence import Ratio

ENOUGH = 0.95
"""A target is met where the interval's lower end reaches this share of it."""


class Target(Struct, frozen=True):
    """Deliveries a second: at least `factor` times those of `peer`, or of the best peer where it is empty."""

    configuration: Configuration
    peer: str
    factor: float


def _window(window: int) -> Configuration:
    return Configuration(subscribers=MUST.subscribers, characters=MUST.characters, codec=MUST.codec, window=window)


TARGETS = (
    Target(_window(1), "uwebsockets", 1.0),
    Target(_window(1), "nats", 1.3),
    Target(_window(1), "floor", 0.8),
    Target(_window(16), "uwebsockets", 1.0),
    Target(_window(16), "nats", 2.0),
    Target(_window(16), "ws", 10.0),
    Target(_window(256), "uwebsockets", 3.0),
    Target(_window(256), "nats", 3.0),
    Target(Configuration(each=EACH, subscribers=ROOMS, window=256), "", 0.8),
)


class Verdict(Struct, frozen=True):
    target: Target
    peer: str
    """With which it was compared."""
    found: Ratio | None
    """None where it was not measured."""

    @property
    def met(self) -> bool:
        return self.found is not None and self.found.low >= ENOUGH * self.target.factor


def verdicts(comparisons: list[Comparison]) -> list[Verdict]:
    """One for each target."""
    return [_verdict(target, comparisons) for target in TARGETS]


def _verdict(target: Target, comparisons: list[Comparison]) -> Verdict:
    found = [one for one in comparisons if one.configuration == target.configuration]
    if target.peer:
        found = [one for one in found if one.peer == target.peer]
    if not found:
        return Verdict(target, target.peer, None)
    best = min(found, key=lambda one: one.ratio.mean)
    return Verdict(target, best.peer, best.ratio)
