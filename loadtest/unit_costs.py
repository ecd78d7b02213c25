"""What one of each costs, as measured: docs/scaling.md says by which command, and when."""

from msgspec import Struct


class UnitCosts(Struct, frozen=True, kw_only=True):
    """Microseconds are of a processor core, bytes of memory, disk or network; for texts of 120 characters where nothing
    else is said.
    """

    # A gateway process
    process_bytes: float = 89e6
    """With nobody connected."""
    connection_bytes: float = 3_997
    """Joined to one room."""
    membership_bytes: float = 1_000
    """Of who is online."""
    room_bytes: float = 1_000
    """Loaded, with one listener."""
    message_bytes: float = 600
    """At hand, in a loaded room."""
    idle_us: float = 1.3
    """A second of a silent connection, pings included."""
    session_us: float = 700
    """Connecting, joining a room, recovering."""
    message_us: float = 60
    """Receiving, deciding, replying, writing, publishing: what each message of a commit costs."""
    commit_us: float = 300
    """What the commit costs on top, however many are in it."""
    receive_us: float = 70
    """A message that another node has committed."""
    hear_us: float = 20
    """What another node says otherwise: a read mark, a beacon, that it is alive."""
    mark_us: float = 300
    """A read mark, where it is made."""
    delivery_us: float = 9.5
    """One write to one connection, of a room of few."""
    live_delivery_us: float = 6.2
    """The same, of a room of a thousand on the node."""
    delivery_bytes: float = 173
    """Of an event as it is sent to a client, its text not counted."""
    commit_seconds: float = 0.000_72
    """From the hand-over to the acknowledgement."""

    # Redis
    publish_us: float = 7
    """An envelope."""
    subscriber_us: float = 1.1
    """And each node that it goes to."""
    envelope_bytes: float = 241
    """Of an envelope with one message, its text not counted; as much to each node."""

    # PostgreSQL
    log_message_us: float = 60
    """What each message of a commit costs."""
    log_commit_us: float = 400
    """What the commit costs on top."""
    log_mark_us: float = 500
    """A read mark, with the read states that are read after it."""
    log_recovery_us: float = 1_000
    """A room that is joined anew: 100 events are read."""
    wal_bytes: float = 2_100
    """Write-ahead log of a message."""
    disk_bytes: float = 1_000
    """What a message leaves for good: tables and indexes; its text of 120 characters included."""
    disk_text_bytes: float = 4
    """And each character more of its text."""


BEACONS = 2
"""Envelopes that follow a message after which the room is quiet (`realtime/hosting/across.py`)."""
SHOWN = 30
"""Comments a second that a viewer is shown at most (`[limits] live_comments_per_second`)."""
MEASURED_TEXT = 120
"""Characters."""
RECENT = 20
"""Messages that a room in memory holds, however old."""
