"""`python -m loadtest SCENARIO`: starts a server, loads it, and prints what it bore."""

import argparse
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import uvloop

from loadtest import acknowledge
from loadtest.client import Lost
from loadtest.stream import Wrong


def main(arguments: list[str] | None = None) -> int:
    """Returns the process's exit code: 1 where the server lost, doubled or disordered anything, or gave up."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    scenarios = parser.add_subparsers(required=True, metavar="SCENARIO")
    one = scenarios.add_parser("acknowledge", help="one group, all listen, some send")
    one.add_argument("--connections", type=int, default=1_000, help="users, each a member with one connection (1000)")
    one.add_argument("--senders", type=int, default=100, help="how many of them send (100)")
    one.add_argument("--rate", type=float, default=2_200, help="messages a second, of all senders together (2200)")
    one.add_argument("--duration", type=float, default=20, help="seconds (20)")
    one.add_argument("--warm-up", type=float, default=5, help="seconds before that, not counted (5)")
    one.add_argument("--text", type=int, default=120, help="characters of a message (120)")
    one.add_argument(
        "--folder", type=Path, default=Path("artefacts"), help="where the data is kept meanwhile (artefacts)"
    )
    one.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    if not 1 <= given.senders <= given.connections:
        parser.error("--senders: 1 to the number of --connections")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given.folder.mkdir(parents=True, exist_ok=True)
    plan = acknowledge.Plan(
        connections=given.connections,
        senders=given.senders,
        rate=given.rate,
        seconds=given.duration,
        warm_up=given.warm_up,
        characters=given.text,
    )
    try:
        with TemporaryDirectory(prefix="loadtest-", dir=given.folder) as folder:
            figures = uvloop.run(acknowledge.measure(plan, Path(folder)))
    except (Lost, Wrong, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(figures).decode() if given.json else figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
