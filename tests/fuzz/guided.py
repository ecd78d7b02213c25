"""Runs a fuzz target, guided by the coverage of the code it is to reach."""

import argparse
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

Target = Callable[[bytes], None]


def run(target: Target, methods: Iterable[tuple[Any, str]], description: str | None) -> None:
    """Fuzzes for `--seconds`, then ends the process. `methods` are owners and names of what coverage is taken of.

    Ends with an error at the first input on which the target raises, or above a gigabyte of memory.
    """
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; the tests import only the targets

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    for owner, name in methods:
        atheris.instrument_func(inspect.unwrap(getattr(owner, name)))  # in place, behind caches too
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={tempfile.gettempdir()}/",
        "-max_len=4096",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup([sys.argv[0], *options], atheris.instrument_func(target))
    atheris.Fuzz()
