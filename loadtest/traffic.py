"""What people do at the peak, computed from assumptions. Pure."""

from msgspec import Struct

from loadtest.assumptions import Assumptions
from loadtest.unit_costs import SHOWN

DAY = 86_400.0
"""Seconds."""


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


_OF_A_ROOM = ("followers", "listeners")


def share(a: Assumptions, cells: int) -> Traffic:
    """Of one of so many cells: who has rooms in several comes to each."""
    t = traffic(a)
    part = {name: getattr(t, name) / cells for name in Traffic.__struct_fields__ if name not in _OF_A_ROOM}
    visits = cells_each(a, cells)
    return Traffic(**part | {"followers": t.followers, "listeners": t.listeners, "sessions": part["sessions"] * visits})
