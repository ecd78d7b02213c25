"""Results of a bench that never ran."""

from loadtest.bench.results import Bench, Comparison, Configuration
from loadtest.bench.timing import Figure


def figure(rate: float, client_cpu: float = 0.5) -> Figure:
    return Figure(
        deliveries_per_second=rate, microseconds=5.0, server_cpu=1.0, client_cpu=client_cpu, p50=1.25, p99=2.5
    )


def comparison(
    peer: str,
    ours: float,
    theirs: float,
    configuration: Configuration = Configuration(),  # noqa: B008 - a frozen value
    client_cpu: float = 0.5,
) -> Comparison:
    """Three pairs that hardly differ: 1% up and down."""
    wobble = (0.99, 1.0, 1.01)
    return Comparison(
        configuration=configuration,
        peer=peer,
        ours=[figure(ours * by) for by in wobble],
        theirs=[figure(theirs * by, client_cpu) for by in reversed(wobble)],
    )


def bench(*comparisons: Comparison) -> Bench:
    return Bench(
        started="2026-11-22T22:00:00Z",
        command="python -m loadtest.bench --quick",
        machine="a machine, 2 cores",
        versions={"ours": "0.1.0", "nats": "2.9.10"},
        left_out=["Much."],
        comparisons=list(comparisons),
        minutes=3.2,
    )
