"""The group of pictures that runs: what a new output is given first, so that it need not wait for a keyframe."""

from collections.abc import Iterator
from typing import Literal

from relay.units import Unit

MOST_BYTES = 16 * 1024 * 1024
"""Ten seconds at 12 Mbit/s. A longer group is forgotten, and counted: outputs then wait for the next keyframe."""


UNIT_BYTES = 256
"""What a unit counts for beside its data."""


class GopCache:
    """Units from the latest video keyframe on, with the audio between them, in every codec that is made."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.overflows = 0
        self.bytes = 0
        self._units: list[Unit] = []
        self._most = most_bytes

    def add(self, unit: Unit) -> None:
        if unit.kind == "video" and unit.key:
            self.clear()
        elif not self._units:
            return
        self._units.append(unit)
        self.bytes += len(unit.data) + UNIT_BYTES
        if self.bytes > self._most:
            self.overflows += 1
            self.clear()

    def clear(self) -> None:
        self._units, self.bytes = [], 0

    def units(self, audio: Literal["aac", "opus"]) -> Iterator[Unit]:
        """For an output that takes audio in this codec. A keyframe comes first; nothing where there is none."""
        return (unit for unit in tuple(self._units) if unit.kind == "video" or unit.config.codec == audio)
