"""`python -m loadtest.bench`: galaxy-live beside other servers, alternately, within the same minutes."""

import sys

from loadtest.bench import docs
from loadtest.bench.arguments import parse
from loadtest.bench.run import run
from loadtest.bench.targets import verdicts
from loadtest.peers.peer import Failed


def main(arguments: list[str] | None = None) -> int:
    """Returns the process's exit code: 1 where a server could not be started or did not deliver everything,
    130 where it was interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parse(arguments)
    print(f"{len(given.plan.rows)} rows, about {given.plan.minutes:.0f} minutes", flush=True)
    for left_out in given.plan.left_out:
        print(f"left out: {left_out}", flush=True)
    try:
        found, path = run(given.plan, given.out, arguments, lambda line: print(line, flush=True))
        if given.docs is not None:
            docs.write(found, given.docs)
    except (Failed, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; what was measured is in {given.out}", file=sys.stderr)
        return 130
    if any(verdict.found for verdict in verdicts(found.comparisons)):
        print(docs.targets(found))
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
