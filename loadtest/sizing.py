"""What an installation needs, computed from unit costs and assumptions. Pure; docs/scaling.md has the formulae."""

from collections.abc import Callable
from math import ceil

import msgspec
from msgspec import Struct

from loadtest.unit_costs import BEACONS, MEASURED_TEXT, SHOWN, UnitCosts
from rooms.room import RECENT_MESSAGES

DAY = 86_400.0
"""Seconds."""
YEAR = 365
"""Days."""
MICRO = 1e-6
MOST_NODES = 1 << 24
"""That are tried."""


class Assumptions(Struct, frozen=True, kw_only=True):
    """Nothing of it is measured: of people, and of the machines that are to be had."""

    users: float
    """Accounts."""
    rooms: float
    """Groups, of one size."""
    online: float = 0.1
    """Share of the users who are connected at the peak, each once."""
    messages_per_user_day: float = 20.0
    """Of all users, not only of those who are online."""
    rooms_each: float = 10.0
    """Groups of which a user is a member."""
    listeners_per_room: float | None = None
    """Who listens to a group when something is said in it; None: its members who are online."""
    live_rooms: float = 1.0
    live_viewers: float = 0.0
    """Of each live room; they are among those online."""
    live_comments: float = 30.0
    """Said in each a second, at the peak."""
    text: float = float(MEASURED_TEXT)
    """Characters of a message."""
    peak: float = 3.0
    """The peak second, of the average one."""
    marks_per_message: float = 2.0
    """Read marks."""
    sessions_per_user_day: float = 5.0
    """Connections made; each joins all the user's groups."""
    home: float = 0.9
    """Share of a user's groups that lie in one cell, where there are several."""
    cells: float = 1.0
    """At least."""

    busy: float = 0.5
    """Share of a core, or of a network, that is planned for at the peak."""
    node_connections: float = 15_000.0
    """Of one gateway process: the most that was measured."""
    machine_cores: float = 16.0
    """Of a gateway machine; a process takes one."""
    lanes: float = 4.0
    """Connections of a process to write by (`[store] write_lanes`)."""
    readers: float = 4.0
    """And to read by (`read_connections`)."""
    postgres_cores: float = 32.0
    postgres_connections: float = 1_000.0
    postgres_wal: float = 200e6
    """Bytes of write-ahead log a second that its disk and its replica take."""
    postgres_disk: float = 30e12
    """Bytes."""
    years: float = 1.0
    """That the log is kept."""
    copies: float = 2.0
    """Of the database: a synchronous replica, for one."""
    redis_shards: float = 16.0
    """Servers of a cluster; each takes one core for commands."""
    redis_network: float = 1.25e9
    """Bytes a second that one of them can send."""


class Traffic(Struct, frozen=True):
    """Of all cells together at the peak; a second, where nothing else is said."""

    online: float
    """Users."""
    messages: float
    """In groups."""
    comments: float
    """In live rooms."""
    followers: float
    """Members of a group who are online when something is said in it; the writer is one."""
    listeners: float
    """Of those, who listen."""
    deliveries: float
    """Of messages to listeners."""
    shown: float
    """Of comments to viewers."""
    changes: float
    """`user.changed`: at most one a user."""
    marks: float
    sessions: float
    """Connections made."""


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


def traffic(a: Assumptions) -> Traffic:
    online = a.users * a.online
    messages = a.users * a.messages_per_user_day * a.peak / DAY
    followers = max(1.0, online * a.rooms_each / a.rooms)
    listeners = followers if a.listeners_per_room is None else a.listeners_per_room
    return Traffic(
        online=online,
        messages=messages,
        comments=a.live_rooms * a.live_comments if a.live_viewers else 0.0,
        followers=max(followers, listeners),
        listeners=listeners,
        deliveries=messages * listeners,
        shown=a.live_rooms * a.live_viewers * min(a.live_comments, SHOWN),
        changes=min(online, messages * followers),
        marks=messages * a.marks_per_message,
        sessions=a.users * a.sessions_per_user_day * a.peak / DAY,
    )


def cells_each(a: Assumptions, cells: int) -> float:
    """Cells in which a user has groups, and so a connection."""
    return 1 + min(cells - 1, a.rooms_each * (1 - a.home))


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


def _with(a: Assumptions, costs: UnitCosts, cells: int, nodes: int) -> Cell:
    whole = traffic(a)
    part = {name: getattr(whole, name) / cells for name in ("messages", "comments", "deliveries", "shown")}
    part |= {name: getattr(whole, name) / cells for name in ("changes", "marks")}
    sessions = whole.sessions * cells_each(a, cells) / cells
    t = msgspec.structs.replace(whole, sessions=sessions, **part)
    connections = whole.online * cells_each(a, cells) / cells
    groups_each = a.rooms_each / cells_each(a, cells)
    said = t.messages + t.comments
    text = a.text - MEASURED_TEXT

    # Who hears what
    beacons = t.messages * BEACONS
    elsewhere = others(nodes, whole.followers)
    shown_elsewhere = others(nodes, max(1.0, a.live_viewers))
    received = t.messages * elsewhere + t.comments * shown_elsewhere
    beside = beacons * elsewhere
    everywhere = t.marks + nodes
    heard = received + beside + everywhere * (nodes - 1)
    envelopes = said + beacons + everywhere if nodes > 1 else 0.0

    commits = said / batch(said / nodes, a.lanes, costs.commit_seconds)
    turn = costs.turn_us / batch(heard / nodes, 1, costs.turn_us * MICRO)
    hear, receive = costs.hear_us + turn, costs.receive_us + turn
    each = MICRO / nodes * (everywhere * (nodes - 1) * hear + t.comments * shown_elsewhere * receive)
    work = {
        "messages": said * costs.message_us + commits * costs.commit_us,
        "read marks": t.marks * costs.mark_us,
        "deliveries": (t.deliveries + t.changes) * costs.delivery_us + t.shown * costs.live_delivery_us,
        "sessions": t.sessions * (costs.session_us + groups_each * costs.recovery_us) + connections * costs.idle_us,
        "others' messages": t.messages * elsewhere * receive + beside * hear,
    }
    gateway = {name: MICRO * spent for name, spent in work.items()}
    gateway["what every node hears"] = nodes * each

    # A node that follows a room is sent what it publishes there itself, too.
    small = costs.small_envelope_bytes * (beacons + everywhere)
    sent_small = costs.small_envelope_bytes * (beside + beacons + everywhere * nodes)
    envelope = costs.envelope_bytes + a.text
    redis = MICRO * (envelopes * costs.publish_us + (heard + envelopes) * costs.subscriber_us) if nodes > 1 else 0.0
    redis_sent = (received + said) * envelope + sent_small if nodes > 1 else 0.0
    shards = ceil(max(redis / a.busy, redis_sent / (a.redis_network * a.busy))) if nodes > 1 else 0

    rooms_here = a.rooms / cells * (1 - _free(nodes, whole.followers))
    a_day = t.messages / a.peak * DAY + t.comments / a.peak * DAY
    return Cell(
        connections=connections,
        nodes=nodes,
        gateway_cores=sum(gateway.values()),
        gateway_work=gateway,
        node_bytes=costs.process_bytes
        + connections / nodes * (costs.connection_bytes + groups_each * costs.membership_bytes)
        + rooms_here * (costs.room_bytes + RECENT_MESSAGES * costs.message_bytes),
        everywhere=each,
        envelopes=envelopes,
        heard=heard if nodes > 1 else 0.0,
        redis_cores=redis,
        redis_received=said * envelope + small if nodes > 1 else 0.0,
        redis_sent=redis_sent,
        redis_shards=shards,
        nodes_channel=MICRO * nodes * (costs.publish_us + nodes * costs.subscriber_us) if nodes > 1 else 0.0,
        commits=commits + t.marks,
        postgres_cores=MICRO
        * (
            said * (costs.log_message_us + text * costs.log_text_us)
            + commits * costs.log_commit_us
            + t.marks * costs.log_mark_us
            + t.sessions * groups_each * costs.log_recovery_us
        ),
        postgres_connections=nodes * (a.lanes + a.readers),
        wal=said * (costs.wal_bytes + text * costs.wal_text_bytes),
        disk=a_day * YEAR * a.years * (costs.disk_bytes + text * costs.disk_text_bytes),
        network_out=(t.deliveries + t.changes + t.shown) * (costs.delivery_bytes + a.text),
    )
