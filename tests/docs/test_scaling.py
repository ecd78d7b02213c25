"""docs/scaling.md says what the program computes, from the unit costs that it has."""

import re

import pytest
from msgspec.structs import fields

from loadtest.size_arguments import DEFAULTS
from loadtest.size_table import number
from loadtest.unit_costs import UnitCosts
from tests.docs.scaling import COMMAND, MARKED, PATH, rewritten

PAGE = PATH.read_text()


def test_its_tables_are_the_programs() -> None:
    assert len(COMMAND.findall(PAGE)) == 3
    assert [name for _, name, _ in MARKED.findall(PAGE)] == ["assumptions", "together", "each", "cells", "limits"]
    assert rewritten(PAGE) == PAGE, "python -m tests.docs.scaling writes them anew"


@pytest.mark.parametrize("cost", fields(UnitCosts), ids=lambda cost: cost.name)
def test_every_unit_cost_is_in_its_table(cost: object) -> None:
    name, value = cost.name, cost.default  # type: ignore[attr-defined]
    (row,) = re.findall(rf"^\| `{name}` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert float(row.replace(",", "")) == value


def test_what_bounds_a_live_room() -> None:
    a, costs = DEFAULTS, UnitCosts()
    nodes = a.postgres_connections / (a.lanes + a.readers)
    text = " ".join(PAGE.split())
    assert f"{nodes:.0f} processes, {number(nodes * a.node_connections)} viewers" in text
    assert f"can hear: {a.busy / 2 / costs.receive_us * 1e6:,.0f} a second" in text


def test_its_commands_are_there() -> None:
    for module in set(re.findall(r"python -m (tests(?:\.\w+)+)", PAGE)):
        assert (PATH.parents[1] / f"{module.replace('.', '/')}.py").exists(), module


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (PATH.parent / target).exists(), target
