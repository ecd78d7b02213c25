"""Names of things, and what form they take on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer on the wire: the largest that every JSON reader holds exactly (RFC 8259 section 6)."""

SafeInteger = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)]

MAX_SECONDS = 10 * 365 * 24 * 3600
"""Longest duration a command may name, ten years: what lasts longer is said by leaving the duration out."""

RoomId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")]
UserId = Annotated[str, Meta(min_length=1, max_length=128)]
Pos = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER)]
"""A position in a room's log: gapless, from 1."""
PosOrZero = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)]
Seconds = Annotated[int, Meta(ge=1, le=MAX_SECONDS)]
Key = Annotated[str, Meta(min_length=1, max_length=64)]

Kind = Literal["group", "live"]
Visibility = Literal["public", "private"]
Millis = int
"""Milliseconds since the Unix epoch."""
