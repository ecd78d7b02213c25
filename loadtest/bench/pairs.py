"""Ours and one other, alternately, while both are up."""

from loadtest.bench.plan import Row
from loadtest.bench.results import Comparison
from loadtest.bench.side import Side
from loadtest.bench.timing import WARM_UP
from loadtest.peers.peer import Failed


def compare(row: Row, ours: Side, theirs: Side) -> Comparison:
    """Both sides are open. Raises Failed unless both deliver everything to everybody."""
    try:
        return _compare(row, ours, theirs)
    except Failed as error:
        raise Failed(f"{row.configuration}: {error}") from error


def _compare(row: Row, ours: Side, theirs: Side) -> Comparison:
    configuration = row.configuration
    for side in (ours, theirs):
        side.texts(configuration.characters)
        side.verify(configuration.window)
    taken = Comparison(configuration=configuration, peer=row.peer, ours=[], theirs=[])
    for _ in range(row.pairs):
        taken.ours.append(ours.measure(configuration.window, WARM_UP, row.seconds))
        taken.theirs.append(theirs.measure(configuration.window, WARM_UP, row.seconds))
    return taken
