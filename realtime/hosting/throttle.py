"""Bounds how often each of many users may do something, in memory that is bounded too."""

from collections import OrderedDict
from functools import partial

from realtime import ports
from rooms.errors import Rejected
from rooms.ids import Millis

USERS = 65_536


class Throttle:
    """At most `most` counted acts a user in each window of `window_ms`, on all nodes together; 0 means no bound.

    Acts on other nodes are known when those here have been counted with them: until then, and while that cannot be
    done, only those here count. Of more than USERS users the one whose window began first is forgotten.
    """

    def __init__(self, most: int, window_ms: int, tallies: ports.Tallies, what: str):
        """`what` names the acts among those that nodes count together."""
        self._most = most
        self._window_ms = window_ms
        self._tallies = tallies
        self._what = what
        self._counts: OrderedDict[str, tuple[Millis, int]] = OrderedDict()

    def check(self, user: str, now: Millis, message: str) -> None:
        """Raises Rejected(`rate_limited`) where the user has had enough for now."""
        since, count = self._counts.get(user, (0, 0))
        if self._most and count >= self._most and since + self._window_ms > now:
            raise Rejected("rate_limited", message, retry_after_ms=since + self._window_ms - now)

    def count(self, user: str, now: Millis) -> None:
        if not self._most:
            return
        self._tallies.act(f"{self._what}:{user}", self._window_ms, partial(self._told, user, now))
        since, count = self._counts.get(user, (0, 0))
        if since + self._window_ms > now:
            self._counts[user] = (since, count + 1)
            return
        self._counts.pop(user, None)
        self._counts[user] = (now, 1)
        if len(self._counts) > USERS:
            self._counts.popitem(last=False)

    def _told(self, user: str, now: Millis, total: int, left_ms: Millis) -> None:
        """So often on all nodes, in the window that one of them began."""
        if user in self._counts and total > self._counts[user][1]:
            self._counts[user] = (now + left_ms - self._window_ms, total)
