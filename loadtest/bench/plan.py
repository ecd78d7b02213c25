"""Which configurations are measured against which peers, and how long."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, product

from msgspec import Struct

from loadtest.bench.results import Configuration
from loadtest.bench.timing import WARM_UP
from loadtest.peers import OURS, SERVERS

PEERS = tuple(name for name in SERVERS if name != OURS)
WINDOWS = (1, 16, 256)
SUBSCRIBERS = (100, 1_000, 10_000)
CHARACTERS = (120, 1_024)
CODECS = ("json", "msgpack")
ROOMS, EACH = 10_000, 10
MUST = Configuration()
"""The configuration of the targets, but for the window."""
NOT_JOINING = frozenset({"ws", "websockets"})
"""Those who send each message by itself: a window of 256 to 10,000 subscribers takes them half a minute."""


class Row(Struct, frozen=True):
    """One configuration against one peer: `pairs` of measurements of so many seconds."""

    configuration: Configuration
    peer: str
    pairs: int
    seconds: float

    @property
    def estimate(self) -> float:
        """Seconds that it takes, roughly: measuring, what comes before and after, checking."""
        window = self.configuration.window * self.configuration.subscribers if not self.configuration.each else 0
        drain = window / (100_000 if self.peer in NOT_JOINING else 3_000_000)
        return self.pairs * (2 * (WARM_UP + self.seconds) + 0.1 + drain + window / 6_000_000) + 1


class Plan(Struct, frozen=True):
    rows: list[Row]
    left_out: list[str]
    """In sentences."""

    @property
    def minutes(self) -> float:
        opening = 0.0
        for (_, _, subscribers, each), found in self.grouped():
            servers = 1 + len({row.peer for row in found})
            opening += servers * (3 + subscribers * (0.0015 + 0.0004 * each)) + (subscribers * 0.01 if each else 0)
        return (opening + sum(row.estimate for row in self.rows)) / 60

    def grouped(self) -> Iterator[tuple[tuple[int, str, int, int], list[Row]]]:
        """Rows that need the same subscribers, to the codec, their number, and how many rooms each is in."""

        def subscribers(row: Row) -> tuple[int, str, int, int]:
            one = row.configuration
            return bool(one.each), one.codec, one.subscribers, one.each

        for key, rows in groupby(sorted(self.rows, key=subscribers), subscribers):
            yield key, list(rows)


def usual(peers: Sequence[str], pairs: int, seconds: float) -> Plan:
    """What `make bench` measures: in full what there are targets for, in shorter measurements the rest, not all."""
    short = seconds * 0.3
    rows = list(_rows(peers, configurations(WINDOWS), pairs, seconds))
    others = [
        *configurations(WINDOWS, subscribers=(100, 10_000)),
        *configurations(WINDOWS, characters=(1_024,)),
        *configurations(WINDOWS, codecs=("msgpack",)),
    ]
    joining = [peer for peer in peers if peer not in NOT_JOINING]
    for configuration in others:
        rows += _rows(joining if configuration.window == 256 else peers, [configuration], pairs, short)
    rows += many_rooms(peers, (256,), ROOMS, pairs, seconds)
    rows += many_rooms(peers, (1_024,), ROOMS, pairs, short)
    left_out = [
        "1 KB texts and MessagePack were measured with 1,000 subscribers, each with the other's default; `--full` "
        "measures every combination.",
        "Node `ws` and `websockets` with 256 in flight were measured with 1,000 subscribers, 120 characters and JSON "
        "only: they send message by message, and such windows take them half a minute.",
    ]
    return Plan(rows, left_out)


def chosen(peers: Sequence[str], configurations: Iterable[Configuration], pairs: int, seconds: float) -> Plan:
    """Every one of these against every peer."""
    return Plan(list(_rows(peers, configurations, pairs, seconds)), ["Only what the command names was measured."])


def many_rooms(peers: Sequence[str], windows: Sequence[int], rooms: int, pairs: int, seconds: float) -> list[Row]:
    """As many rooms as connections, each with ten; against the peers that have rooms."""
    configurations = [Configuration(each=EACH, subscribers=rooms, window=window) for window in windows]
    return list(_rows([peer for peer in peers if SERVERS[peer].topics], configurations, pairs, seconds))


def configurations(
    windows: Sequence[int],
    subscribers: Sequence[int] = (MUST.subscribers,),
    characters: Sequence[int] = (MUST.characters,),
    codecs: Sequence[str] = (MUST.codec,),
) -> list[Configuration]:
    return [
        Configuration(codec=codec, subscribers=count, characters=size, window=window)
        for codec, count, size, window in product(codecs, subscribers, characters, windows)
    ]


def _rows(peers: Iterable[str], configurations: Iterable[Configuration], pairs: int, seconds: float) -> Iterator[Row]:
    for configuration, peer in product(list(configurations), peers):
        yield Row(configuration, peer, pairs, seconds)
