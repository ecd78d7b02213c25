"""What a bench found, as data."""

from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from loadtest.bench.timing import Figure
from loadtest.confidence import Ratio, ratio


class Configuration(Struct, frozen=True, kw_only=True, order=True):
    """What is measured: `window` messages in flight, of so many characters, to `subscribers`.

    They are all of one room; or, where `each` is not 0, there are as many rooms as subscribers, and each subscriber is
    in so many of them.
    """

    each: int = 0
    subscribers: int = 1_000
    window: int = 1
    characters: int = 120
    codec: str = "json"

    def __str__(self) -> str:
        rooms = f"{self.subscribers:,} rooms of {self.each}" if self.each else f"{self.subscribers:,} subscribers"
        return f"{rooms}, {self.window:,} in flight, {self.characters:,} characters, {self.codec}"


class Comparison(Struct, kw_only=True):
    """The measurements of one configuration against one peer, in the order in which they were taken."""

    configuration: Configuration
    peer: str
    ours: list[Figure]
    theirs: list[Figure]

    @property
    def ratio(self) -> Ratio:
        """Of deliveries a second."""
        ours, theirs = ([one.deliveries_per_second for one in side] for side in (self.ours, self.theirs))
        return ratio(ours, theirs)

    def __str__(self) -> str:
        ours, theirs = (median(one.deliveries_per_second for one in side) for side in (self.ours, self.theirs))
        return f"{self.configuration}: {ours:,.0f}/s, {self.peer} {theirs:,.0f}/s, ratio {self.ratio}"


class Bench(Struct, kw_only=True):
    """One run of the bench."""

    started: str
    """ISO 8601, UTC."""
    command: str
    machine: str
    versions: dict[str, str]
    """By server."""
    left_out: list[str]
    """What was not measured, in sentences."""
    comparisons: list[Comparison]
    minutes: float = 0.0

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def read(path: Path) -> Bench:
    """Raises OSError, msgspec.DecodeError, msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Bench)
