"""`python -m loadtest SCENARIO`: loads a server, and tells what it bore. `size` computes what so many users need."""

import contextlib
import signal
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from loadtest import merge, report, size_table
from loadtest.arguments import Given, Merging, parse
from loadtest.client import Lost
from loadtest.crew import Stopped
from loadtest.limits import size
from loadtest.progress import Progress
from loadtest.results import Run
from loadtest.run import Target, own_server, run
from loadtest.size_arguments import Sizing
from loadtest.unit_costs import UnitCosts

TOLD = 10
"""Failures that are printed; the report has more."""
INTERRUPTED = 128 + signal.SIGINT
"""The exit code, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the process's exit code: 1 where the server broke a promise or the run could not be made, INTERRUPTED
    where it was stopped, with a report all the same.
    """
    given = parse(arguments)
    match given:
        case Merging():
            return _merge(given)
        case Sizing():
            return _size(given)
        case Given():
            return _run(given)


def _run(given: Given) -> int:
    try:
        found = _play(given)
    except (Lost, Stopped, OSError) as error:
        where = f"--url: http://{given.host}:{given.port}" if given.port else "our own server"
        print(f"failed: {where}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted before there was anything to report", file=sys.stderr)
        return INTERRUPTED
    folder = given.out or Path("artefacts/loadtest") / f"{found.scenario}-{time.strftime('%Y%m%d-%H%M%S')}"
    written = report.write(found, folder)
    _tell(found, written, json=given.json)
    return 1 if found.failed else INTERRUPTED if found.interrupted else 0


def _play(given: Given) -> Run:
    with contextlib.ExitStack() as stack:
        if given.port:
            target = Target(given.host, given.port, given.secret, given.pid)
        else:
            target = stack.enter_context(own_server(given.folder))
        progress = None if given.json else stack.enter_context(Progress(given.options.scenario, given.options.duration))
        return uvloop.run(run(given.options, target, progress))


def _merge(given: Merging) -> int:
    try:
        merged = merge.merge([merge.load(path) for path in given.runs])
    except (OSError, ValueError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    _tell(merged, report.write(merged, given.out), json=False)
    return 1 if merged.failed else 0


def _size(given: Sizing) -> int:
    try:
        found = size(given.assumptions, UnitCosts())
    except ValueError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(found).decode() if given.json else size_table.text(found))
    return 0


def _tell(found: Run, written: Path, *, json: bool) -> None:
    if json:
        print(msgspec.json.encode(found.figures).decode())
    else:
        width = max(map(len, found.figures), default=0)
        for name, value in found.figures.items():
            print(f"{name:{width}}  {value:,.2f}" if abs(value) < 1_000 else f"{name:{width}}  {value:,.0f}")
        print(f"report: {written}")
    for failure in found.failures[:TOLD]:
        print(f"{failure.kind}: {failure.text}", file=sys.stderr)
    if found.failed > TOLD:
        print(f"and {found.failed - TOLD:,} more", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
