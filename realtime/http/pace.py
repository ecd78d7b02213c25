"""How fast each user may send requests, in memory that is bounded whoever they are."""

from collections import OrderedDict

from realtime import ports
from realtime.gateway.session import Bucket
from realtime.hosting.throttle import USERS, Throttle
from rooms.errors import Rejected
from rooms.ids import Millis

SHARED_SECONDS = 10
"""Over all nodes a user may send as much in so many seconds as to one of them."""


class Pace:
    """At most `rate` requests a second from each user (0: no limit), `burst` at once.

    Of more than USERS users the one who has been silent longest is forgotten: their bucket is full again, or nearly.
    """

    def __init__(self, rate: int, burst: int, tallies: ports.Tallies, what: str):
        """`what` names the requests among those that nodes count together."""
        self._rate = rate
        self._burst = burst
        most = rate and burst + rate * SHARED_SECONDS
        self._shared = Throttle(most, SHARED_SECONDS * 1_000, tallies, what)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def check(self, user: str, now: Millis) -> None:
        """Counts a request. Raises Rejected(`rate_limited`)."""
        if not self._rate:
            return
        self._shared.check(user, now, "Too many requests.")
        bucket = self._buckets.get(user)
        if bucket is None:
            bucket = self._buckets[user] = Bucket(self._burst)
            if len(self._buckets) > USERS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(user)
        wait = bucket.wait_ms(self._rate, self._burst, now)
        if wait:
            raise Rejected("rate_limited", "Too many requests.", retry_after_ms=wait)
        self._shared.count(user, now)
