"""Who joins which rooms: the same in every process, without anybody being told."""

import random
from functools import lru_cache

from loadtest.options import ZIPF, Options
from loadtest.schedule import zipf


def rooms_of(options: Options, connection: int) -> list[int]:
    """The numbers of the rooms that a connection joins, all different.

    Rooms of one size: neighbours join neighbouring rooms, and no two share all of theirs. By Zipf's law: the first room
    is the largest.
    """
    count, each = options.rooms, options.rooms_each
    if options.scenario not in ZIPF:
        return [(connection + k * max(count // each, 1)) % count for k in range(each)]
    chance = random.Random(options.seed * 1_000_003 + connection)  # noqa: S311 - repeatable on purpose
    weights = _weights(count)
    chosen: dict[int, None] = {}
    while len(chosen) < each:
        chosen[chance.choices(range(count), cum_weights=weights)[0]] = None
    return list(chosen)


def senders_of(options: Options) -> list[int]:
    """The connections that send, among all the others."""
    return [i * options.connections // options.senders for i in range(options.senders)]


@lru_cache(maxsize=1)
def _weights(rooms: int) -> list[float]:
    return zipf(rooms)
