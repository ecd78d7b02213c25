"""HdrHistograms of microseconds: made, added, packed as text, and asked for percentiles in milliseconds.

https://hdrhistogram.org; the packed form is its compressed V2 one in base64, as other HdrHistogram tools read it.
"""

import zlib
from collections.abc import Iterable, Sequence

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

LONGEST = 3_600_000_000
"""An hour, in microseconds: what a histogram holds at most."""
_FIGURES = 3


def empty() -> HdrHistogram:
    return HdrHistogram(1, LONGEST, _FIGURES)


def pack(histogram: HdrHistogram) -> str:
    return histogram.encode().decode("ascii")


def unpack(text: str) -> HdrHistogram:
    """Raises ValueError where the text is no packed histogram."""
    try:
        return HdrHistogram.decode(text)
    except (HdrCookieException, HdrLengthException, zlib.error, ValueError) as error:
        raise ValueError(f"not an HdrHistogram: {error or type(error).__name__}") from error


def total(packed: Iterable[str]) -> HdrHistogram:
    """The sum of them. Raises ValueError where one is no packed histogram, or holds more than an hour."""
    found = empty()
    for text in packed:
        try:
            found.add(unpack(text))
        except IndexError as error:
            raise ValueError(f"a time is longer than an hour: {error}") from error
    return found


def milliseconds(histogram: HdrHistogram, percents: Sequence[float]) -> list[float]:
    """Its percentiles; 100 is the most. Empty where nothing was recorded."""
    if not histogram.total_count:
        return []
    found = histogram.get_percentile_to_value_dict(percents)
    return [found[percent] / 1_000 for percent in percents]


def delivery_first(names: Iterable[str]) -> list[str]:
    """The order to show them in: what people feel comes first."""
    return sorted(names, key=lambda name: name != "delivery")
