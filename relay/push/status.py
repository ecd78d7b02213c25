"""What a creator is told of a destination, and when it is tried again."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

State = Literal["connecting", "live", "retrying", "refused", "stopped"]


class PushStatus(Struct, frozen=True):
    """`url` is without the key. `kbit` is what was sent a second since the last status, `dropped` the units (frames of
    video or audio) that were not sent for want of room, `error` the last one, empty where there was none.
    """

    id: str
    name: str
    url: str
    state: State
    kbit: int = 0
    dropped: int = 0
    error: str = ""


def delay(attempt: int, cap: float, random: Callable[[], float]) -> float:
    """Seconds before the next attempt, after `attempt` (from 0) that failed: exponential backoff with full jitter (Marc
    Brooker, AWS Architecture Blog, 2015). `random` gives 0 to 1.
    """
    return random() * min(cap, 2.0 ** min(attempt, 16))
