"""docs/architecture.md, docs/operations.md, the decisions: their links lead somewhere, their numbers are the code's."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from realtime.gateway.session import BACKLOG, LANE
from realtime.hosting.host import INBOX
from realtime.stores.common import WAITING_READS, WAITING_WRITES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([DOCS / "architecture.md", DOCS / "operations.md", DOCS / "protocol.md", *DOCS.glob("decisions/*.md")])
SHORT_NAMES = ("gateway/", "hosting/", "fanout/")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#][^)]*)\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        headings = [line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")]
        assert anchor in headings


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_named_modules_are_there(page: Path) -> None:
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page.read_text()):
        assert (ROOT / ("realtime/" if name.startswith(SHORT_NAMES) else "") / name).exists(), name


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in DOCS.glob("decisions/*.md")]
    assert len(numbers) == len(set(numbers))
    for path in DOCS.glob("decisions/*.md"):
        assert path.read_text().startswith(f"# {int(path.name[:4])}. "), path.name


def test_the_picture_can_be_read_aloud() -> None:
    root = ET.parse(DOCS / "architecture.svg").getroot()  # noqa: S314 - our own file
    names = {child.tag.rpartition("}")[2] for child in root}
    assert {"title", "desc"} <= names


def test_bounds_of_queues() -> None:
    text = (DOCS / "architecture.md").read_text()
    for row in (
        f"a room's inbox | {INBOX:,} commands",
        f"behind an earlier one of their room | {LANE}",
        f"commands before `welcome` | {BACKLOG}",
        f"the store's writer | {WAITING_WRITES:,} works",
        f"reads that wait for the store | {WAITING_READS:,}",
    ):
        assert row in text
