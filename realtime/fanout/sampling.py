"""Which comments of a giant live room everybody is shown, where more are said than people can read.

A token bucket (rate a second, at most one second's worth saved up) bounds how many; whose they are is decided in turns.
What else happens in the room, and what its moderators and owners say, is not for this module: that is always shown.

Turns go to who was shown least in this second, then to who was shown least recently. Within one call that is a round
robin over its senders. Over calls, which may be a few milliseconds apart and hold only what a flooder has just said,
it takes more: the next comment of somebody who was shown k in this second needs more than k tokens. So a flooder
leaves tokens for those who are yet to speak, while a few who talk much still get all there are between them (dynamic
thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
"""

from collections import OrderedDict
from collections.abc import Mapping
from heapq import nsmallest

SENDERS = 4_096
"""Senders of whom it is remembered when they were last shown; whoever is forgotten goes first again."""

ONE = 1_000
"""A token, in the unit that is counted in: `rate` of these arrive in a millisecond."""


class Sampler:
    """The choice for one room. Pure: the time is an argument, and the same calls give the same choices."""

    __slots__ = (
        "_calm",
        "_counted",
        "_full",
        "_now",
        "_rate",
        "_second",
        "_shown",
        "_this_second",
        "_tokens",
        "_turn",
    )

    def __init__(self, rate: int, now: int):
        """`rate` in comments a second, at least 1; `now` in milliseconds of any clock that does not go back."""
        self._rate = rate
        self._full = rate * ONE
        self._now = now
        self._tokens = self._full
        self._calm = self._full
        """What may come before the room is over its rate; below 0 it is, and stays so until it has calmed down."""
        self._second = now // 1_000
        self._this_second: dict[str, int] = {}
        """Sender → comments shown since the second began."""
        self._turn = 0
        self._shown: OrderedDict[str, int] = OrderedDict()
        """Sender → turn in which they were last shown, in that order."""
        self._counted = (0, 0)

    def spared(self, comments: Mapping[int, str], now: int) -> set[int]:
        """The positions not to be shown, of comments that have arrived together: position → sender, ascending.

        Of any stretch of time, at most its length times the rate is shown, and one second's worth more. While no
        second has more comments than the rate, all are shown.
        """
        self._advance(now)
        said = len(comments) * ONE
        shown = dict(comments) if said <= self._calm else self._choose(comments)
        self._calm = max(self._calm - said, -self._full)
        self._tokens -= len(shown) * ONE
        self._remember(shown)
        self._counted = (self._counted[0] + len(shown), self._counted[1] + len(comments))
        return comments.keys() - shown.keys()

    @property
    def over(self) -> bool:
        """Whether more has lately been said than is shown."""
        return self._calm < 0

    def counted(self) -> tuple[int, int]:
        """How many comments were shown, and how many said, since this was last asked."""
        counted, self._counted = self._counted, (0, 0)
        return counted

    def _advance(self, now: int) -> None:
        arrived = (now - self._now) * self._rate
        self._tokens = min(self._tokens + arrived, self._full)
        self._calm = min(self._calm + arrived, self._full)
        self._now = now
        if now // 1_000 != self._second:
            self._second = now // 1_000
            self._this_second.clear()

    def _choose(self, comments: Mapping[int, str]) -> dict[int, str]:
        """The comments whose turn it is, in the order of their turns."""
        counts: dict[str, int] = {}
        turns: list[tuple[int, int, int]] = []
        for pos, sender in comments.items():
            before = counts.get(sender, self._this_second.get(sender, 0))
            counts[sender] = before + 1
            turns.append((before, self._shown.get(sender, 0), pos))
        tokens = self._tokens // ONE
        chosen: dict[int, str] = {}
        for before, _, pos in nsmallest(tokens, turns):
            if before >= tokens - len(chosen):
                break
            chosen[pos] = comments[pos]
        return chosen

    def _remember(self, shown: Mapping[int, str]) -> None:
        for sender in shown.values():
            self._this_second[sender] = self._this_second.get(sender, 0) + 1
            self._turn += 1
            self._shown[sender] = self._turn
            self._shown.move_to_end(sender)
            if len(self._shown) > SENDERS:
                self._shown.popitem(last=False)
