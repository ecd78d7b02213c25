"""Plants faults between a real server and the load generator, and counts what it finds.

`python -m tests.loadtest.planted_faults` is the long form: one event in a million is lost, doubled or swapped, and each
is to be found; it writes a dated result to `docs/proof/`.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from loadtest import merge
from loadtest.files import allow_many
from loadtest.results import Run
from loadtest.server import Server
from tests.loadtest.faulty_proxy import DOUBLE, DROP, FOUND_AS, REORDER, FaultyProxy, Plan


async def command_through(plan: Plan, folder: Path, options: list[str]) -> tuple[int, Run]:
    """`fanout` against a server of its own, through the proxy. Returns the exit code and the run."""
    with Server(folder / "data") as server:
        async with FaultyProxy(server.port, plan) as proxy:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "loadtest", "fanout", "--url", f"http://127.0.0.1:{proxy.port}",
                "--pid", str(server.pid), "--out", str(folder / "report"), "--json", *options,
                env=os.environ | {"GALAXY_AUTH__SECRET": server.secret},
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            code = await process.wait()
    return code, merge.load(folder / "report")


async def prove(rate: float, seconds: float) -> tuple[Plan, Run]:
    plan = Plan([DROP, DOUBLE, REORDER], every=round(1 / rate))
    options = ["--connections", "500", "--senders", "50", "--rate", "100", "--duration", str(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        _, run = await command_through(plan, Path(folder), options)
    return plan, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1e-6, help="faults an event (1e-6)")
    parser.add_argument("--seconds", type=float, default=400, help="of load, at 50,000 events a second (400)")
    parser.add_argument("--output", type=Path, default=Path("docs/proof"), help="folder for the result (docs/proof)")
    given = parser.parse_args()
    allow_many()
    plan, run = uvloop.run(prove(given.rate, given.seconds))
    found = Counter(failure.kind for failure in run.failures)
    expected = Counter({FOUND_AS[fault]: count for fault, count in plan.planted.items()})
    good = found == expected and run.failed == sum(expected.values()) > 0
    text = (
        f"# Planted faults, {datetime.now(UTC):%Y-%m-%d}\n\n"
        f"`python -m tests.loadtest.planted_faults --rate {given.rate:g} --seconds {given.seconds:g}`: "
        f"{plan.passed:,} events went through the proxy. Planted: {dict(plan.planted)}. "
        f"Found: {dict(found)}, {run.failed} in all. {'Each was found.' if good else 'NOT AS PLANTED.'}\n"
    )
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / f"{datetime.now(UTC):%Y-%m-%d}-planted-faults.md").write_text(text)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
