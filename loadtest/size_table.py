"""What `python -m loadtest size` prints."""

from loadtest.limits import Reached, Size

Row = tuple[str, str]
"""What it is, and how much."""
_BYTES = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_LARGE = ((1e9, " billion"), (1e6, " million"))


def text(found: Size) -> str:
    parts = [_part("at the peak, all together", together(found))]
    parts.append(_part(_cells(found.cells), each(found)))
    heading = "where one cell ends: users, with as many rooms and live rooms each; what changes there"
    ends = [(limit.name, f"{users(limit)}: {limit.then}") for limit in found.limits]
    parts.append(_part(heading, ends))
    return "\n".join(parts)


def together(found: Size) -> list[Row]:
    t, c, cells = found.traffic, found.cell, found.cells
    return [
        ("users online", number(t.online)),
        ("connections", number(c.connections * cells)),
        ("messages/s in groups", number(t.messages)),
        ("comments/s in live rooms", number(t.comments)),
        ("deliveries/s of messages", number(t.deliveries)),
        ("deliveries/s of comments", number(t.shown)),
        ("deliveries/s of unread counts", number(t.changes)),
        ("network out, a second", size_of(c.network_out * cells)),
        ("gateway cores at work", number(c.gateway_cores * cells)),
        *((f"of these, {name}", number(cores * cells)) for name, cores in c.gateway_work.items()),
        ("gateway processes", number(c.nodes * cells)),
        ("gateway machines", number(found.machines)),
        ("memory of all processes", size_of(c.node_bytes * c.nodes * cells)),
        ("Redis servers", number(c.redis_shards * cells)),
        ("PostgreSQL cores at work", number(c.postgres_cores * cells)),
        ("disk of all copies", size_of(found.disk)),
    ]


def each(found: Size) -> list[Row]:
    c = found.cell
    return [
        ("connections", number(c.connections)),
        ("gateway processes", number(c.nodes)),
        ("memory of a process", size_of(c.node_bytes)),
        ("envelopes/s published", number(c.envelopes)),
        ("envelopes/s received, by all nodes", number(c.heard)),
        ("Redis cores at work", number(c.redis_cores)),
        ("Redis receives, a second", size_of(c.redis_received)),
        ("Redis sends, a second", size_of(c.redis_sent)),
        ("Redis servers", number(c.redis_shards)),
        ("PostgreSQL commits/s", number(c.commits)),
        ("PostgreSQL cores at work", number(c.postgres_cores)),
        ("PostgreSQL connections (lanes and readers)", number(c.postgres_connections)),
        ("write-ahead log, a second", size_of(c.wal)),
        ("disk of one copy", size_of(c.disk)),
    ]


def users(limit: Reached) -> str:
    return "never" if limit.users is None else number(limit.users)


def number(value: float) -> str:
    """To two digits; as it is where it is some thousands."""
    for least, name in _LARGE:
        if value >= least:
            return f"{_two(value / least)}{name}"
    return _two(value)


def size_of(value: float) -> str:
    """Bytes, in decimal units."""
    for name in _BYTES:
        if value < 1_000 or name == _BYTES[-1]:
            break
        value /= 1_000
    return f"{_two(value)} {name}"


def _two(value: float) -> str:
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _cells(cells: int) -> str:
    return "one cell" if cells == 1 else f"{cells:,} cells, each"


def _part(heading: str, rows: list[Row]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([heading, *(f"  {name:{width}}  {value}" for name, value in rows)])
