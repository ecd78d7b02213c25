"""What an installation needs, computed from unit costs and assumptions. Pure; docs/scaling.md has the formulae."""

from collections.abc import Callable
from math import ceil

from msgspec import Struct

from loadtest.assumptions import Assumptions
from loadtest.traffic import DAY, Traffic, cells_each, share, traffic
from loadtest.unit_costs import BEACONS, MEASURED_TEXT, UnitCosts
from rooms.room import RECENT_MESSAGES

YEAR = 365
"""Days."""
MICRO = 1e-6
EVERYWHERE = "what every node hears"
MOST_NODES = 1 << 24
"""That are tried."""


class Cell(Struct, frozen=True):
    """One installation of several: a PostgreSQL, a Redis, nodes, and the rooms that lie there. At the peak; a second,
    where nothing else is said.
    """

    connections: float
    nodes: int
    """Gateway processes."""
    gateway_cores: float
    gateway_work: dict[str, float]
    """Of these cores, by what they do."""
    node_bytes: float
    """Memory of each."""
    everywhere: float
    """Share of a core that each node takes for what every node hears: read marks, comments, that others are alive."""
    envelopes: float
    """Published."""
    heard: float
    """Received, by all nodes."""
    redis_cores: float
    redis_received: float
    """Bytes."""
    redis_sent: float
    """Bytes."""
    redis_shards: int
    nodes_channel: float
    """Share of a core that Redis takes to tell all nodes that all nodes are alive: of one channel, so of one shard."""
    commits: float
    postgres_cores: float
    postgres_connections: float
    wal: float
    """Bytes."""
    disk: float
    """Bytes that are kept, in one copy."""
    network_out: float
    """Bytes to clients."""


def others(nodes: float, followers: float) -> float:
    """On how many nodes but the writer's somebody follows a room, when each is on a node at random."""
    return (nodes - 1) * (1 - _free(nodes, followers - 1))


def _free(nodes: float, people: float) -> float:
    """The probability that none of the people is on a given node."""
    free: float = (1 - 1 / nodes) ** people
    return free


def batch(rate: float, lanes: float, seconds: float) -> float:
    """How much is done together: the first, and what arrives in its lane while as much is being done."""
    return 1 + rate / lanes * seconds


def least(fits: Callable[[int], bool], first: int, most: int) -> int | None:
    """The least number from `first` on that fits, if all above it do; None where none up to `most` does."""
    low, high = first - 1, first
    while not fits(high):
        if high >= most:
            return None
        low, high = high, min(high * 2, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def cell(a: Assumptions, costs: UnitCosts, cells: int) -> Cell:
    """One of so many equal cells, with as few nodes as do; with MOST_NODES where none do."""

    def fits(nodes: int) -> bool:
        found = _with(a, costs, cells, nodes)
        # What every node hears takes half of what is planned at most: limits() says so where it is more.
        left = a.busy - min(found.everywhere, a.busy / 2)
        return found.gateway_cores - nodes * found.everywhere <= nodes * left

    connections = traffic(a).online * cells_each(a, cells) / cells
    first = max(1, ceil(connections / a.node_connections))
    return _with(a, costs, cells, least(fits, first, MOST_NODES) or MOST_NODES)


class _Crossing(Struct, frozen=True, kw_only=True):
    """What goes between the nodes of a cell, a second; what is heard, of all nodes together."""

    said: float = 0.0
    """Messages and comments published."""
    beside: float = 0.0
    """All other envelopes."""
    messages: float = 0.0
    """Heard, as the rest."""
    comments: float = 0.0
    beacons: float = 0.0
    everywhere: float = 0.0
    """Read marks, and that nodes are alive."""

    @property
    def envelopes(self) -> float:
        return self.said + self.beside

    @property
    def heard(self) -> float:
        return self.messages + self.comments + self.beacons + self.everywhere


def _crossing(a: Assumptions, t: Traffic, nodes: int) -> _Crossing:
    if nodes == 1:
        return _Crossing()
    beacons, everywhere = t.messages * BEACONS, t.marks + nodes
    elsewhere = others(nodes, t.followers)
    return _Crossing(
        said=t.messages + t.comments,
        beside=beacons + everywhere,
        messages=t.messages * elsewhere,
        comments=t.comments * others(nodes, max(1.0, a.live_viewers)),
        beacons=beacons * elsewhere,
        everywhere=everywhere * (nodes - 1),
    )


def _with(a: Assumptions, costs: UnitCosts, cells: int, nodes: int) -> Cell:
    t = share(a, cells)
    crossing = _crossing(a, t, nodes)
    said = t.messages + t.comments
    commits = said / batch(said / nodes, a.lanes, costs.commit_seconds)
    connections = t.online * cells_each(a, cells)
    rooms_each = a.rooms_each / cells_each(a, cells)
    rooms_here = a.rooms / cells * (1 - _free(nodes, t.followers))
    text = a.text - MEASURED_TEXT
    work = _gateway_work(costs, t, crossing, commits, nodes, connections, rooms_each)
    redis = crossing.envelopes * costs.publish_us + (crossing.heard + crossing.envelopes) * costs.subscriber_us
    envelope = costs.envelope_bytes + a.text
    received = crossing.said * envelope + crossing.beside * costs.small_envelope_bytes
    # A node that follows a room is sent what it publishes there itself, too.
    sent = received + (crossing.messages + crossing.comments) * envelope
    sent += (crossing.beacons + crossing.everywhere) * costs.small_envelope_bytes
    alive = nodes if nodes > 1 else 0
    return Cell(
        connections=connections,
        nodes=nodes,
        gateway_cores=sum(work.values()),
        gateway_work=work,
        node_bytes=costs.process_bytes
        + connections / nodes * (costs.connection_bytes + rooms_each * costs.membership_bytes)
        + rooms_here * (costs.room_bytes + RECENT_MESSAGES * costs.message_bytes),
        everywhere=work[EVERYWHERE] / nodes,
        envelopes=crossing.envelopes,
        heard=crossing.heard,
        redis_cores=MICRO * redis,
        redis_received=received,
        redis_sent=sent,
        redis_shards=ceil(max(MICRO * redis, sent / a.redis_network) / a.busy),
        nodes_channel=MICRO * alive * (costs.publish_us + alive * costs.subscriber_us),
        commits=commits + t.marks,
        postgres_cores=MICRO
        * (
            said * (costs.log_message_us + text * costs.log_text_us)
            + commits * costs.log_commit_us
            + t.marks * costs.log_mark_us
            + t.sessions * rooms_each * costs.log_recovery_us
        ),
        postgres_connections=nodes * (a.lanes + a.readers),
        wal=said * (costs.wal_bytes + text * costs.wal_text_bytes),
        disk=said / a.peak * DAY * YEAR * a.years * (costs.disk_bytes + text * costs.disk_text_bytes),
        network_out=(t.deliveries + t.changes + t.shown) * (costs.delivery_bytes + a.text),
    )


def _gateway_work(
    costs: UnitCosts, t: Traffic, crossing: _Crossing, commits: float, nodes: int, connections: float, rooms_each: float
) -> dict[str, float]:
    """Cores, by what they do."""
    turn = costs.turn_us / batch(crossing.heard / nodes, 1, costs.turn_us * MICRO)
    hear, receive = costs.hear_us + turn, costs.receive_us + turn
    micros = {
        "messages": (t.messages + t.comments) * costs.message_us + commits * costs.commit_us,
        "read marks": t.marks * costs.mark_us,
        "deliveries": (t.deliveries + t.changes) * costs.delivery_us + t.shown * costs.live_delivery_us,
        "sessions": t.sessions * (costs.session_us + rooms_each * costs.recovery_us) + connections * costs.idle_us,
        "others' messages": crossing.messages * receive + crossing.beacons * hear,
        EVERYWHERE: crossing.everywhere * hear + crossing.comments * receive,
    }
    return {name: MICRO * spent for name, spent in micros.items()}
