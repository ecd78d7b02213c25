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
    membership_bytes: float = 510
    """Of who is online."""
    room_bytes: float = 4_970
    """Loaded, with one listener."""
    message_bytes: float = 580
    """At hand, in a loaded room."""
    idle_us: float = 1.3
    """A second of a silent connection, pings included."""
    session_us: float = 700
    """Connecting, and joining one room whose latest events are at hand."""
    recovery_us: float = 2_200
    """Reading 100 events of a room from the log, for who joins it anew."""
    message_us: float = 100
    """Receiving, deciding, replying, writing, publishing: what each message of a commit costs."""
    commit_us: float = 1_040
    """What the commit costs on top, however many are in it."""
    receive_us: float = 55
    """A message that another node has committed, of many that are heard in one turn."""
    hear_us: float = 20
    """What another node says otherwise, likewise: a read mark, a beacon, that it is alive."""
    turn_us: float = 180
    """What the turn costs on top, however much is heard in it."""
    mark_us: float = 1_900
    """A read mark, where it is made."""
    delivery_us: float = 9.5
    """One write to one connection, of a room of few."""
    live_delivery_us: float = 6.2
    """The same, of a room of a thousand on the node."""
    delivery_bytes: float = 173
    """Of an event as it is sent to a client, its text not counted."""
    commit_seconds: float = 0.000_72
    """From the hand-over to the acknowledgement."""

    # Redis; in bursts it takes several at once, which costs it a seventh
    publish_us: float = 65
    """An envelope that comes alone."""
    subscriber_us: float = 10
    """And each node that it goes to."""
    envelope_bytes: float = 241
    """Of an envelope with one message, its text not counted; as much to each node."""
    small_envelope_bytes: float = 98
    """Of any other."""

    # PostgreSQL
    log_message_us: float = 55
    """What each message of a commit costs."""
    log_commit_us: float = 720
    """What the commit costs on top."""
    log_mark_us: float = 1_500
    """A read mark, with the read states that are read after it."""
    log_recovery_us: float = 1_320
    """A room that is joined anew: 100 events are read."""
    wal_bytes: float = 2_400
    """Write-ahead log of a message."""
    disk_bytes: float = 760
    """What a message leaves for good: tables and indexes; its text of 120 characters included."""
    log_text_us: float = 0.15
    """Each character more of a message's text."""
    wal_text_bytes: float = 9
    """The same."""
    disk_text_bytes: float = 3.7
    """The same."""


BEACONS = 2
"""Envelopes that follow a message after which the room is quiet (`realtime/hosting/across.py`)."""
SHOWN = 30
"""Comments a second that a viewer is shown at most (`[limits] live_comments_per_second`)."""
MEASURED_TEXT = 120
"""Characters."""
