"""Tables of costs land in the page, and nowhere else."""

from pathlib import Path

import pytest

from loadtest.peers.peer import Failed
from loadtest.sections import marks
from tests.costs.tables import PAGE, Table
from tests.support.reports import commit

BEGIN, END = marks("ingest")


def test_a_table_is_written_between_the_marks_of_its_name(tmp_path: Path) -> None:
    page = tmp_path / PAGE
    page.write_text(f"# Media\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    for share in ("3%", "4%"):
        table = Table("ingest", tmp_path, "process", "of a core")
        table.add("media", share)
        table.note("That is all.")
        table.publish()
    text = page.read_text()
    assert text.startswith(f"# Media\n\n{BEGIN}\nWritten by `make bench-media`")
    assert text.endswith(
        f"\n\n| process | of a core |\n| --- | --- |\n| media | 4% |\n\nThat is all.\n\n{END}\n\nafter\n"
    )
    assert f"UTC, commit {commit()}: " in text
    assert "`python -m tests.costs.ingest" in text


def test_a_page_without_the_marks_is_told_of_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text(BEGIN)
    with pytest.raises(Failed, match=r"media\.md has no <!-- ingest:begin -->"):
        Table("ingest", tmp_path, "process")


def test_the_page_has_a_place_for_each_table() -> None:
    for name in ("whep_network", "stream", "ingest", "chat_beside"):
        Table(name, Path("docs"), "process")
