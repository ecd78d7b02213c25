"""Bounds how often each of many users may do something, in memory that is bounded too."""

from collections import OrderedDict

from rooms.errors import Rejected
from rooms.ids import Millis

USERS = 65_536


class Throttle:
    """At most `most` counted acts a user in each window of `window_ms`; 0 means no bound.

    Of more than USERS users the one whose window began first is forgotten.
    """

    def __init__(self, most: int, window_ms: int):
        self._most = most
        self._window_ms = window_ms
        self._counts: OrderedDict[str, tuple[Millis, int]] = OrderedDict()

    def check(self, user: str, now: Millis, message: str) -> None:
        """Raises Rejected(`rate_limited`) where the user has had enough for now."""
        since, count = self._counts.get(user, (0, 0))
        if self._most and count >= self._most and since + self._window_ms > now:
            raise Rejected("rate_limited", message, retry_after_ms=since + self._window_ms - now)

    def count(self, user: str, now: Millis) -> None:
        since, count = self._counts.get(user, (0, 0))
        if since + self._window_ms > now:
            self._counts[user] = (since, count + 1)
            return
        self._counts.pop(user, None)
        self._counts[user] = (now, 1)
        if len(self._counts) > USERS:
            self._counts.popitem(last=False)
