"""What people do, and what machines are to be had: assumed, not measured."""

from msgspec import Struct

from loadtest.unit_costs import MEASURED_TEXT


class Assumptions(Struct, frozen=True, kw_only=True):
    """First of people, then of machines and of what is planned for them."""

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
