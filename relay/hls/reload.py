"""Delivery directives (RFC 8216bis, 6.2.5): what a request for a playlist asks, and whether it can be answered."""

import math
import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from relay.hls.window import PART_TARGET, TARGET_SECONDS, Window

BLOCK_SECONDS = 3 * TARGET_SECONDS
"""After so long a request is answered by 503 (6.2.5.2)."""
AHEAD_PARTS = math.ceil(3 / PART_TARGET)
"""The Advance Part Limit: what is asked for beyond it is nonsense (6.2.5.2)."""
AHEAD_SEGMENTS = 2
_NUMBER = re.compile(r"[0-9]{1,15}")


class BadDirective(Exception):
    """400; its text names the directive."""


class Ask(Struct, frozen=True):
    """`msn` is None for what is there; `part` None for the whole segment."""

    msn: int | None = None
    part: int | None = None
    skip: bool = False


def read_directives(query: Mapping[str, str]) -> Ask:
    """Raises BadDirective."""
    msn, part, skip = (query.get(f"_HLS_{name}") for name in ("msn", "part", "skip"))
    for name, value in (("_HLS_msn", msn), ("_HLS_part", part)):
        if value is not None and not _NUMBER.fullmatch(value):
            raise BadDirective(f"{name}: no decimal integer")
    if part is not None and msn is None:
        raise BadDirective("_HLS_part: only with _HLS_msn")
    if skip not in (None, "YES", "v2"):
        raise BadDirective("_HLS_skip: YES or v2")
    return Ask(int(msn) if msn is not None else None, int(part) if part is not None else None, skip is not None)


def judge(ask: Ask, window: Window) -> Literal["ready", "wait"]:
    """Whether the playlist holds what is asked for. Raises BadDirective for what is too far ahead."""
    if ask.msn is None or window.ended:
        return "ready"
    msn, parts = window.position
    if ask.msn > (window.last_whole if window.segments else -1) + AHEAD_SEGMENTS:
        raise BadDirective("_HLS_msn: more than two segments ahead")
    if ask.part is None:
        return "ready" if ask.msn <= window.last_whole else "wait"
    if ask.msn < msn:
        # Beyond a whole segment's last part the next segment's first is meant.
        segment = window.find(ask.msn)
        beyond = ask.msn == msn - 1 and segment is not None and ask.part >= len(segment.parts) > 0
        if beyond and parts == 0:
            return "wait"
        return "ready"
    if ask.msn == msn and ask.part < parts:
        return "ready"
    if ask.part - (parts if ask.msn == msn else 0) >= AHEAD_PARTS:
        raise BadDirective("_HLS_part: too far ahead")
    return "wait"
