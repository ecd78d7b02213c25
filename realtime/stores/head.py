"""What the writer holds of a room while it appends."""

from msgspec import Struct

from rooms.ids import Millis

_POS_BITS = 36
"""A row of the full-text index is a room's number followed by a position in this many bits: a room's messages are a
range of rows, in order.
"""


class Head(Struct):
    """A room's row: its number and its counters after the last event."""

    num: int
    pos: int
    rules_pos: int
    n: int
    last_at: Millis

    def saved(self) -> tuple[int, int, int, Millis, int]:
        """In the order of `statements.SAVE_ROOM`."""
        return (self.pos, self.rules_pos, self.n, self.last_at, self.num)


def words_id(num: int, pos: int) -> int:
    return num << _POS_BITS | pos


def words_pos(row: int) -> int:
    return row & ((1 << _POS_BITS) - 1)
