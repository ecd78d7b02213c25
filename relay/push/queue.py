"""What waits to be sent to one destination."""

from collections import deque

from relay.units import HZ, Unit

AUDIO_ALONE = 3 * HZ
"""Ticks of audio without any video, after which a stream is taken to have none."""


class UnitQueue:
    """Units from a keyframe on, bounded in bytes and in time. When it is full, what is oldest is dropped up to the next
    keyframe that waits, or all, and then whatever comes until there is a keyframe: never a part of a group of pictures.
    """

    def __init__(self, most_bytes: int, most_ticks: int):
        self.bytes = 0
        self.dropped = 0
        """Units that had been begun with and were not sent."""
        self._most_bytes, self._most_ticks = most_bytes, most_ticks
        self._units: deque[Unit] = deque()
        self._begun = self._waits_again = self._keyed = self._has_video = False
        self._audio_from: int | None = None

    @property
    def wants_keyframe(self) -> bool:
        return not self._keyed and (self._has_video or not self._begun)

    @property
    def ticks(self) -> int:
        """From the first unit to the last."""
        return self._units[-1].dts - self._units[0].dts if self._units else 0

    def put(self, unit: Unit) -> None:
        self._has_video |= unit.kind == "video"
        self._keyed |= unit.kind == "video" and unit.key
        if not self._takes(unit):
            self.dropped += self._waits_again
            return
        self._begun = True
        self._waits_again = False
        self._units.append(unit)
        self.bytes += len(unit.data)
        while self._units and (self.bytes > self._most_bytes or self.ticks > self._most_ticks):
            self._drop_to_keyframe()

    def get(self) -> Unit | None:
        if not self._units:
            return None
        unit = self._units.popleft()
        self.bytes -= len(unit.data)
        return unit

    def _takes(self, unit: Unit) -> bool:
        if self._keyed:
            return True
        if unit.kind == "video":
            return False
        if self._has_video:
            return self._begun
        if self._audio_from is None:
            self._audio_from = unit.dts
        return self._begun or unit.dts - self._audio_from >= AUDIO_ALONE

    def _drop_to_keyframe(self) -> None:
        while self.get() is not None:
            self.dropped += 1
            if self._units and self._units[0].key and (self._units[0].kind == "video" or not self._has_video):
                return
        if self._has_video:
            self._begun = self._keyed = False
            self._waits_again = True
