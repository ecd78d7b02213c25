"""What a run is asked to do."""

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    """The same in all processes of a run. What a scenario has no option for keeps its default."""

    scenario: str
    connections: int = 1_000
    rooms: int = 1
    rooms_each: int = 1
    """Rooms that each connection joins."""
    rate: float = 100.0
    """Of what is sent, a second, by all together."""
    duration: float = 20.0
    """Seconds that count."""
    warm_up: float = 0.0
    """Seconds at the same rate before that."""
    processes: int = 1
    senders: int = 1
    text: int = 120
    """Characters of a message, its number in front not counted."""
    codec: str = "json"
    kind: str = "group"
    """Of the rooms: `group` or `live`."""
    seed: int = 1
    patience: float = 30.0
    """Seconds that the last replies and events may take."""
    gap: int = 100
    """Events that each room sees while nobody is connected (`storm`)."""
    window: float = 5.0
    """Seconds within which all come back (`storm`)."""
    stopped: float = 0.01
    """The share of connections that stop reading (`slow`)."""
    rounds: int = 3
    """Times that they do, with as long a time without them (`slow`)."""
    burst: float = 5.0
    """How many times the average rate a burst is (`live`)."""
    baseline: float = 600.0
    """Seconds after which memory may not grow any more (`soak`): by then all that is bounded is full, see "Two hours"
    in docs/performance.md.
    """
    growth: float = 0.02
    """By how much of what it then was, at most (`soak`)."""

    @property
    def members(self) -> bool:
        """Whether all join their rooms as members before they listen: only members write in groups."""
        return self.kind == "group" and self.scenario in MEMBERS


def used_by(scenario: str) -> tuple[str, ...]:
    """The options that mean something to it."""
    return (*_COMMON, *_OWN[scenario])


_COMMON = ("connections", "rooms", "rooms_each", "duration", "processes", "text", "codec", "patience", "seed")
_OWN = {
    "idle": ("kind",),
    "fanout": ("rate", "senders", "warm_up", "kind"),
    "groups": ("rate",),
    "live": ("rate", "senders", "burst"),
    "storm": ("gap", "window", "kind"),
    "slow": ("rate", "senders", "warm_up", "stopped", "rounds", "kind"),
    "soak": ("rate", "baseline", "growth"),
}
MEMBERS = frozenset({"fanout", "slow", "groups", "soak"})
"""Scenarios in which the crowd itself writes."""
ZIPF = frozenset({"groups", "soak"})
"""Scenarios whose rooms are of very different sizes."""
