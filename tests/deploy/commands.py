"""What docs/operations.md tells operators to type."""

import re
import textwrap
from pathlib import Path

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def section(heading: str) -> str:
    """The text below `## heading`, up to the next heading of that level."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def blocks(heading: str, language: str) -> list[str]:
    """The code blocks of a section, in order."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", section(heading), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def commands(heading: str, program: str, here: dict[str, str]) -> str:
    """The one block of the section that names the program, as a shell script, with `here`'s values for its keys."""
    (block,) = (block for block in blocks(heading, "console") if re.search(rf"\b{program}\b", block))
    script = re.sub(r"^# ", "", block, flags=re.MULTILINE)
    for there, mine in here.items():
        script = script.replace(there, mine)
    return f"set -e\n{script}"
