"""Dated results of measurements, in `docs/proof/`."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path


def head(title: str, command: str) -> list[str]:
    """Its first lines: of what, when, at which commit, and by which command it can be had again."""
    return [f"# {title}", "", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, `{command}`."]


def commit() -> str:
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def publish(lines: list[str], folder: Path, name: str) -> None:
    """Printed, and written to `DATE-name.md`."""
    text = "\n".join(lines) + "\n"
    print(text)
    (folder / f"{datetime.now(UTC):%Y-%m-%d}-{name}.md").write_text(text, encoding="utf-8")
