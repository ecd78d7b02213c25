"""The load generator finds what is broken on the way from the server: each fault by its name, and nothing else.

The long form plants one in a million: `python -m tests.loadtest.planted_faults`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.options import Options
from loadtest.results import Run
from loadtest.run import Target, own_server, run
from tests.loadtest.faulty_proxy import DOUBLE, DROP, FOUND_AS, REORDER, FaultyProxy, Plan
from tests.loadtest.planted_faults import command_through

EVENTS = 20 * 200


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with own_server(tmp_path_factory.mktemp("loadtest")) as target:
        yield target


async def load_through(plan: Plan, target: Target, codec: str = "json", processes: int = 1) -> Run:
    options = Options(
        scenario="fanout", connections=20, senders=4, rate=200, duration=1, patience=2,
        codec=codec, processes=processes,
    )  # fmt: skip
    async with FaultyProxy(target.port, plan) as proxy:
        return await run(options, Target(target.host, proxy.port, target.secret, target.pid))


def kinds(found: Run) -> list[str]:
    return sorted(failure.kind for failure in found.failures)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_through_a_faithful_proxy_nothing_is_found(target: Target, codec: str) -> None:
    plan = Plan([], every=1)
    found = await load_through(plan, target, codec)
    assert (found.failures, found.failed, plan.passed) == ([], 0, EVENTS)


@pytest.mark.parametrize(("fault", "at"), [(DROP, 0), (DOUBLE, EVENTS // 3), (REORDER, EVENTS // 2 + 7)])
async def test_one_fault_of_many_events_is_found_and_named(target: Target, fault: str, at: int) -> None:
    plan = Plan([fault], every=EVENTS, at=at)
    found = await load_through(plan, target)
    assert plan.planted == {fault: 1}
    assert (kinds(found), found.failed) == ([FOUND_AS[fault]], 1)


async def test_the_last_event_of_all_is_missed(target: Target) -> None:
    plan = Plan([DROP], every=EVENTS, at=EVENTS - 1)
    assert kinds(await load_through(plan, target)) == ["hole"]


async def test_several_processes_find_each_of_many(target: Target) -> None:
    plan = Plan([DROP, DOUBLE, REORDER], every=EVENTS // 12)
    found = await load_through(plan, target, processes=2)
    assert plan.planted.total() >= 9
    assert kinds(found) == sorted(FOUND_AS[fault] for fault in plan.planted.elements())


async def test_the_command_fails(tmp_path: Path) -> None:
    plan = Plan([DROP], every=EVENTS, at=100)
    options = ["--connections", "5", "--senders", "5", "--rate", "100", "--duration", "1", "--warm-up", "0"]
    code, found = await command_through(plan, tmp_path, options)
    assert (code, kinds(found)) == (1, ["hole"])
