"""How fast each user may send requests, in memory that is bounded whoever they are."""

from collections import OrderedDict

from realtime.gateway.session import Bucket
from realtime.hosting.throttle import USERS
from rooms.errors import Rejected
from rooms.ids import Millis


class Pace:
    """At most `rate` requests a second from each user (0: no limit), `burst` at once.

    Of more than USERS users the one who has been silent longest is forgotten: their bucket is full again, or nearly.
    """

    def __init__(self, rate: int, burst: int):
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def check(self, user: str, now: Millis) -> None:
        """Counts a request. Raises Rejected(`rate_limited`)."""
        if not self._rate:
            return
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
