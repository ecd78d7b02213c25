"""Times, put in order."""

from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """Of a set of times; milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Nearest-rank percentiles. Raises ValueError where there is nothing to order."""
        if not seconds:
            raise ValueError("no times were taken")
        ordered = sorted(seconds)
        p50, p90, p99 = (1_000 * ordered[-(-len(ordered) * p // 100) - 1] for p in (50, 90, 99))
        return cls(len(ordered), p50, p90, p99, 1_000 * ordered[-1])

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p90 {self.p90:.2f} ms, p99 {self.p99:.2f} ms, max {self.most:.2f} ms"
