"""Where an engine ends, what changes there, and how many cells it takes that none does."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from loadtest.assumptions import Assumptions
from loadtest.sizing import MICRO, Cell, cell, least
from loadtest.traffic import Traffic, traffic
from loadtest.unit_costs import UnitCosts

LOOKED_UP_TO = 1e12
"""Users."""


class Limit(Struct, frozen=True):
    """Of one cell."""

    name: str
    used: float
    most: float
    then: str
    """What changes there."""
    cells: bool = True
    """Whether it takes more cells; else more of the same in the cell."""

    @property
    def share(self) -> float:
        return self.used / self.most


class Reached(Struct, frozen=True):
    """A limit, and where one cell comes to it."""

    name: str
    share: float
    """That is used, in each of the cells."""
    users: float | None
    """Where one cell has used it up: so many with as many rooms each; None where it never does."""
    then: str


class Size(Struct, frozen=True):
    traffic: Traffic
    cells: int
    cell: Cell
    machines: float
    """Of gateways, in all cells."""
    disk: float
    """Bytes, of all copies in all cells."""
    limits: list[Reached]


def limits(a: Assumptions, one: Cell) -> list[Limit]:
    return [
        Limit("gateway: one process", one.nodes, 1, "more processes, on PostgreSQL and Redis", cells=False),
        Limit("Redis: one server", one.redis_shards, 1, "a Redis Cluster: sharded pub/sub", cells=False),
        Limit("Redis: servers of a cluster", one.redis_shards, a.redis_shards, "cells"),
        Limit("Redis: the channel of all nodes", one.nodes_channel, a.busy, "cells; nodes that know of fewer others"),
        Limit("gateway: what every node hears", one.everywhere, a.busy / 2, "cells; read marks by who is online where"),
        Limit(
            "PostgreSQL: connections",
            one.postgres_connections,
            a.postgres_connections,
            "cells by room; fewer lanes a node",
        ),
        Limit(
            "PostgreSQL: processor", one.postgres_cores, a.postgres_cores * a.busy, "read replicas, then cells by room"
        ),
        Limit("PostgreSQL: write-ahead log", one.wal, a.postgres_wal, "cells by room"),
        Limit("PostgreSQL: disk", one.disk, a.postgres_disk, "cells by room, or the log kept for less long"),
    ]


def size(a: Assumptions, costs: UnitCosts) -> Size:
    """With as few cells as do, from `a.cells` on.

    Raises ValueError where not even a cell for each room does, or one live room is too much.
    """
    comments = a.busy / 2 / costs.receive_us / MICRO
    if a.live_viewers and a.live_comments > comments:
        raise ValueError(
            f"--live-comments: {a.live_comments:,.12g} a second in one room, of which each of its nodes hears all, are "
            f"more than the {comments:,.0f} that a node can hear"
        )

    def fits(cells: int) -> bool:
        return all(limit.share <= 1 for limit in limits(a, cell(a, costs, cells)) if limit.cells)

    rooms = int(a.rooms)
    cells = least(fits, int(a.cells), rooms)
    if cells is None:
        worst = max((it for it in limits(a, cell(a, costs, rooms)) if it.cells), key=lambda it: it.share)
        raise ValueError(
            f"--rooms: with one of the {rooms:,} in each cell, a cell still wants {worst.share:,.1f} times "
            f"what there is ({worst.name})"
        )
    one = cell(a, costs, cells)
    return Size(
        traffic=traffic(a),
        cells=cells,
        cell=one,
        machines=cells * max(1, -(-one.nodes // int(a.machine_cores))),
        disk=cells * one.disk * a.copies,
        limits=list(_reached(a, costs, one)),
    )


def _reached(a: Assumptions, costs: UnitCosts, one: Cell) -> Iterator[Reached]:
    for at, limit in enumerate(limits(a, one)):
        yield Reached(limit.name, limit.share, _users(a, costs, at), limit.then)


def _users(a: Assumptions, costs: UnitCosts, at: int) -> float | None:
    """How many users one cell bears by that limit, to a thousandth."""

    def share(users: float) -> float:
        scaled = msgspec.structs.replace(
            a, users=users, rooms=a.rooms * users / a.users, live_rooms=a.live_rooms * users / a.users
        )
        return limits(scaled, cell(scaled, costs, 1))[at].share

    high = 1_000.0
    while share(high) <= 1:
        high *= 2
        if high > LOOKED_UP_TO:
            return None
    low = 0.0
    while high - low > high / 1_000:
        middle = (low + high) / 2
        low, high = (low, middle) if share(middle) > 1 else (middle, high)
    return low
