"""What media costs, as tables: printed as they are measured, and written into `docs/media.md`."""

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from loadtest import sections
from loadtest.bench.run import machine_and_software
from tests.support.reports import commit

PAGE = "media.md"


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """With `--docs`, the folder of the page (a Path, or None)."""
    parser.add_argument("--docs", type=Path, help=f"the folder whose {PAGE} is to be rewritten")
    return parser.parse_args()


class Table:
    """`name`: of the program in `tests.costs`, and of the section's marks. `docs`: None for a table that is only
    printed. Raises Failed where the page has no such marks, OSError: before anything is measured.
    """

    def __init__(self, name: str, docs: Path | None, *columns: str):
        self._name, self._page = name, docs / PAGE if docs is not None else None
        if self._page is not None:
            sections.around(self._page, name)
        self._lines: list[str] = []
        self._width = len(columns)
        self.add(*columns)
        self.add(*["---"] * len(columns))

    def add(self, *cells: object) -> None:
        """A row."""
        assert len(cells) == self._width
        self._say(f"| {' | '.join(map(str, cells))} |")

    def note(self, text: str) -> None:
        """Below the table, as a paragraph of its own; after the last row."""
        self._say("")
        self._say(text)

    def publish(self) -> None:
        """Into the page, with when, at which commit, how and on what it was measured."""
        if self._page is None:
            return
        command = shlex.join(["python", "-m", f"tests.costs.{self._name}", *sys.argv[1:]])
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}"
        about = f"Written by `make bench-media`; do not edit between these marks. `{command}`, {when}: "
        sections.rewrite(self._page, self._name, "\n".join([f"{about}{machine_and_software()}.", "", *self._lines, ""]))

    def _say(self, line: str) -> None:
        self._lines.append(line)
        print(line, flush=True)
