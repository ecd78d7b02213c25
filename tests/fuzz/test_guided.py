"""Every fuzzer of `make fuzz` starts and finds nothing at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
FUZZERS = re.findall(r"-m (tests\.fuzz\.\w+) --seconds", MAKEFILE.read_text())


@pytest.mark.parametrize("module", FUZZERS)
def test_it_runs(module: str) -> None:
    command = [sys.executable, "-m", module, "--seconds", "1"]
    ended = subprocess.run(command, cwd=MAKEFILE.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^Done [1-9]\d* runs", ended.stderr, re.MULTILINE), ended.stderr


def test_all_fuzzers_are_run() -> None:
    programs = [path for path in Path(__file__).parent.glob("[!_t]*.py") if "__main__" in path.read_text()]
    assert {name.rpartition(".")[2] for name in FUZZERS} == {path.stem for path in programs}
