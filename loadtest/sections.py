"""Sections of pages that programs write, each between two marks of its name: `<!-- NAME:begin -->` and `:end`."""

from pathlib import Path

from loadtest.peers.peer import Failed


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def around(page: Path, name: str) -> tuple[str, str]:
    """What comes before the section, and after it. Raises Failed where its marks are missing, OSError."""
    begin, end = marks(name)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise Failed(f"{page} has no {begin} … {end} to write between")
    return before, after


def rewrite(page: Path, name: str, text: str) -> None:
    """Replaces the section. Raises as `around`."""
    before, after = around(page, name)
    begin, end = marks(name)
    page.write_text("\n".join([before + begin, text, end + after]), encoding="utf-8")
