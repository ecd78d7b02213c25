"""Numbers of the command line, each within its bounds."""

import argparse
import math
from collections.abc import Callable
from typing import Any


def _bounded(kind: Callable[[str], Any], what: str, least: float, most: float, above: bool) -> Callable[[str], Any]:
    """`above`: `least` itself is not allowed."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (least < value < most or (value == least and not above)):
            raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
        return value

    return convert


count = _bounded(int, "a whole number above 0", 0, math.inf, above=True)
positive = _bounded(float, "a number above 0", 0, math.inf, above=True)
from_zero = _bounded(float, "a number from 0 on", 0, math.inf, above=False)
from_one = _bounded(float, "a number from 1 on", 1, math.inf, above=False)
share = _bounded(float, "between 0 and 1", 0, 1, above=True)
