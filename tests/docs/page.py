"""docs/protocol.md as data: its tables and examples."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

_FIELD = re.compile(r"(?:^|, )`(\w+)(\??)`")


def section(title: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, f"no section {title!r}"
    return found[1]


def table(title: str, header: str) -> list[dict[str, str]]:
    """The rows, by column, of the table in a section whose first column is called `header`."""
    lines = section(title).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    names = _cells(lines[start])
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, _cells(line), strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def fields(cell: str) -> dict[str, bool]:
    """Field → whether it may be missing, of a cell like "`room`, `title?`: for owners"."""
    return {name: bool(mark) for name, mark in _FIELD.findall(cell)}


def codes(cell: str) -> list[str]:
    """All that stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def examples() -> list[list[str]]:
    """The blocks of JSON, an object a line."""
    return [block.splitlines() for block in re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)]
