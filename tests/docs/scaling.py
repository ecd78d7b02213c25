"""The tables of docs/scaling.md that are computed: `python -m tests.docs.scaling` writes them anew."""

import re
from pathlib import Path

from loadtest.arguments import parse
from loadtest.limits import Size, size
from loadtest.size_arguments import DEFAULTS, OPTIONS, Sizing, flag
from loadtest.size_table import each, number, together, users
from loadtest.unit_costs import UnitCosts

PATH = Path(__file__).parents[2] / "docs" / "scaling.md"
COMMAND = re.compile(r"^\$ python -m loadtest (size .*)$", re.MULTILINE)
MARKED = re.compile(r"(<!-- (\w+):begin -->\n).*?(<!-- \2:end -->)", re.DOTALL)


MORE_CELLS = (1_500, 3_000, 6_000, 12_000)
"""Of the largest."""


def sizes(text: str) -> list[Size]:
    """What the page's commands compute, in their order."""
    return [_size(command) for command in COMMAND.findall(text)]


def _size(command: str) -> Size:
    given = parse(command.split())
    assert isinstance(given, Sizing)
    return size(given.assumptions, UnitCosts())


def rewritten(text: str) -> str:
    """The page with its tables as they are to be."""
    found = sizes(text)
    tables = {
        "assumptions": _assumptions(),
        "together": _table([together(one) for one in found]),
        "each": _table([[("cells", number(one.cells)), *each(one)] for one in found]),
        "cells": _cells(COMMAND.findall(text)[-1]),
        "limits": _limits(found),
    }
    return MARKED.sub(lambda marked: f"{marked[1]}{tables[marked[2]]}{marked[3]}", text)


def _assumptions() -> str:
    lines = ["| option | assumed | what it is |\n|---|---:|---|\n"]
    for name, option in OPTIONS.items():
        default = getattr(DEFAULTS, name)
        lines.append(f"| `{flag(name)}` | {'' if default is None else f'{default:,.15g}'} | {option.text} |\n")
    return "".join(lines)


HEAD = "| | 100 thousand users | 10 million | 1 billion |\n|---|---:|---:|---:|\n"


def _table(columns: list[list[tuple[str, str]]]) -> str:
    rows = zip(*columns, strict=True)
    return HEAD + "".join(f"| {row[0][0]} | {' | '.join(value for _, value in row)} |\n" for row in rows)


def _cells(command: str) -> str:
    lines = ["| cells | processes of each | processes | Redis servers | cores at work in gateways |\n"]
    lines.append("|---:|---:|---:|---:|---:|\n")
    for cells in (1, *MORE_CELLS):
        found = _size(f"{command} --cells {cells}")
        one = found.cell
        figures = (1, one.nodes / found.cells, one.nodes, one.redis_shards, one.gateway_cores)
        lines.append(f"| {' | '.join(number(found.cells * figure) for figure in figures)} |\n")
    return "".join(lines)


def _limits(found: list[Size]) -> str:
    lines = [HEAD.replace("|\n|-", "| what changes there |\n|-", 1).replace("---:|\n", "---:|---|\n", 1)]
    for row in zip(*(one.limits for one in found), strict=True):
        lines.append(f"| {row[0].name} | {' | '.join(map(users, row))} | {row[0].then} |\n")
    return "".join(lines)


if __name__ == "__main__":
    PATH.write_text(rewritten(PATH.read_text()))
