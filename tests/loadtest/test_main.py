"""The command line as a whole: exit codes, and what is told."""

import json
from pathlib import Path

import pytest

from loadtest.__main__ import main

SECRET = "s" * 32


def test_a_run_ends_well_and_tells_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["--connections", "5", "--senders", "5", "--rate", "50", "--duration", "1", "--warm-up", "0"]
    assert main(["fanout", *arguments, "--folder", str(tmp_path), "--out", str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["acknowledged_per_second"] > 0
    assert json.loads((out / "run.json").read_text())["options"]["connections"] == 5
    assert main(["merge", str(out), str(out / "run.json"), "--out", str(tmp_path / "both")]) == 0
    assert "acknowledged_per_second" in capsys.readouterr().out
    assert json.loads((tmp_path / "both" / "run.json").read_text())["seconds"][-1]["connections"] in (0, 10)


def test_a_server_that_is_not_there_is_said_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--url", "http://127.0.0.1:1", "--secret", SECRET, "--json", "--out", str(tmp_path / "out")]
    assert main(["idle", "--connections", "1", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith("failed: --url: http://127.0.0.1:1: ")
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_merged_is_said_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["merge", str(tmp_path / "none.json"), "--out", str(tmp_path / "out")]) == 1
    assert "none.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
