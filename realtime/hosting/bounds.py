"""What bounds the rooms of a process."""

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """The limits of the config that hosting goes by."""

    recover_events: int
    recover_bytes: int
    ring_bytes: int
    joins_at_once: int
    join_wait_seconds: int
    presence_names: int
    unsent_bytes: int
    invite_guesses_per_minute: int
    reactions_per_second: int
    live_comments_per_second: int


def ring_bytes(bounds: Bounds) -> int:
    """What one room's ring may take: whatever can be recovered at all finds room, written in several forms."""
    return bounds.recover_events * 1_024 + bounds.recover_bytes * 8
