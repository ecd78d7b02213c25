"""Ours and one other, alternately, while both are up."""

from statistics import median

from msgspec import Struct

from loadtest.bench_driver import Figure
from loadtest.bench_side import Side
from loadtest.confidence import Ratio, ratio

WARM_UP = 0.15
"""Seconds of the same load before each measurement."""


class Configuration(Struct, frozen=True, kw_only=True):
    """What is measured: `window` messages in flight to `subscribers` of one room."""

    codec: str
    subscribers: int
    characters: int
    window: int

    def __str__(self) -> str:
        return f"{self.subscribers:,} subscribers, {self.window} in flight, {self.characters} characters, {self.codec}"


class Comparison(Struct, kw_only=True):
    """The measurements of one configuration against one peer, in the order in which they were taken."""

    configuration: Configuration
    peer: str
    seconds: float
    """How long each measurement was to be."""
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


def compare(
    configuration: Configuration, peer: str, ours: Side, theirs: Side, pairs: int, seconds: float
) -> Comparison:
    """Both sides are connected. Raises Failed unless both deliver everything to everybody."""
    for side in (ours, theirs):
        side.texts(configuration.characters)
        side.verify(configuration.window)
    taken = Comparison(configuration=configuration, peer=peer, seconds=seconds, ours=[], theirs=[])
    for _ in range(pairs):
        taken.ours.append(ours.measure(configuration.window, WARM_UP, seconds))
        taken.theirs.append(theirs.measure(configuration.window, WARM_UP, seconds))
    return taken
