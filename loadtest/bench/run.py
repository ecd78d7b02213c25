"""A whole bench: every row of the plan, written down as it goes."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from loadtest.bench.driver import cores
from loadtest.bench.pairs import compare
from loadtest.bench.plan import Plan, Row
from loadtest.bench.results import Bench, Comparison
from loadtest.bench.side import Side
from loadtest.peers import OURS, SERVERS
from loadtest.peers.peer import Codec
from loadtest.run import machine

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def run(plan: Plan, out: Path, arguments: list[str], tell: Callable[[str], None]) -> tuple[Bench, Path]:
    """Installs what is missing into `out`, measures, and writes the results there after every row.

    Raises Failed, OSError; then the rows before have been written.
    """
    cores()
    installed = out / "installed"
    installed.mkdir(parents=True, exist_ok=True)
    names = [OURS, *dict.fromkeys(row.peer for row in plan.rows)]
    for name in names:
        SERVERS[name].install(installed)
    began = time.time()
    found = Bench(
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        command=shlex.join(["python", "-m", "loadtest.bench", *arguments]),
        machine=machine_and_software(),
        versions={name: SERVERS[name](Codec("json")).version(installed) for name in names},
        left_out=plan.left_out,
        comparisons=[],
    )
    path = out / f"bench-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(began))}.json"
    for number, one in enumerate(_comparisons(plan, installed, out), 1):
        found.comparisons.append(one)
        found.minutes = (time.time() - began) / 60
        found.write(path)
        tell(f"{number}/{len(plan.rows)}, {found.minutes:.0f} min: {one}")
    return found, path


def machine_and_software() -> str:
    """Processor, cores, system, congestion control, Python. Raises OSError."""
    _, _, found = machine().partition(": ")  # not its name
    return f"{found}, TCP {CONGESTION.read_text().strip()}, Python {sys.version.split()[0]}"


def _comparisons(plan: Plan, installed: Path, scratch: Path) -> Iterator[Comparison]:
    for (_, codec, subscribers, each), rows in plan.grouped():
        with Side(OURS, codec, installed, scratch) as ours:
            ours.open(subscribers, each)
            for peer, of_peer in groupby(sorted(rows, key=_peer), _peer):
                with Side(peer, codec, installed, scratch) as theirs:
                    theirs.open(subscribers, each)
                    for row in of_peer:
                        yield compare(row, ours, theirs)


def _peer(row: Row) -> str:
    return row.peer
