"""How sure a comparison is: the ratio of what was measured side by side, with its 95 percent interval."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from msgspec import Struct

LEVEL = 0.95


class Ratio(Struct, frozen=True):
    """Ours to theirs. The true ratio lies in `low` to `high` with 95 percent confidence."""

    mean: float
    """Geometric mean of the pairs' ratios."""
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of measurements taken in pairs, one after the other under the same conditions: Student's t-interval of the mean
    of the ratios' logarithms.

    Raises ValueError for fewer than two pairs, unequal numbers, and what is not above 0.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"ours has {len(ours)} measurements and theirs {len(theirs)}: they must be pairs")
    if len(ours) < 2:
        raise ValueError(f"an interval needs at least 2 pairs, not {len(ours)}")
    for name, values in (("ours", ours), ("theirs", theirs)):
        for i, value in enumerate(values):
            if not (0 < value < math.inf):
                raise ValueError(f"{name}[{i}] is {value}: a ratio needs finite measurements above 0")
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    centre = fmean(logs)
    reach = t_quantile(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(centre), math.exp(centre - reach), math.exp(centre + reach), len(logs))


def t_quantile(degrees: int, level: float = LEVEL) -> float:
    """The t within whose plus and minus a t-distributed value lies with probability `level`.

    Bisects Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4, over the angle.
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _within(middle, degrees) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _within(angle: float, degrees: int) -> float:
    """Probability that |t| is below sqrt(degrees) · tan(angle); the finite series for whole degrees of freedom."""
    odd = degrees % 2
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
