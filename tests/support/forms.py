"""A form for listeners that are no connections: JSON, a line an event; the past as the objects it holds."""

from collections.abc import Sequence
from typing import Any

import msgspec


class JsonLines:
    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event) + b"\n"

    def part(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event)

    def whole(self, parts: Sequence[bytes]) -> list[dict[str, Any]]:
        return list(map(msgspec.json.decode, parts))


JSON_LINES = JsonLines()
