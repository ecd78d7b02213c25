"""How a publisher does: figures of the last seconds, and advice in words."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from relay.ports import Received
from relay.units import HZ, Kind, Unit

WINDOW_SECONDS = 5.0
LOSS_PERCENT = 2.0
ROUND_TRIP_MS = 300.0
NEAR_CAP = 0.9


class Health(Struct, frozen=True):
    """Of the last WINDOW_SECONDS. `loss_percent` and `round_trip_ms` are None where the way of publishing cannot tell;
    `keyframe_ms` is 0 before the second keyframe.
    """

    kbit: int
    fps: float
    width: int
    height: int
    video: str
    audio: str
    keyframe_ms: int
    loss_percent: float | None
    round_trip_ms: float | None
    advice: tuple[str, ...]


class _Second(Struct):
    number: int
    bytes: int = 0
    frames: int = 0


class Meter:
    """Counts units. `now` is in seconds of a clock that never goes back."""

    def __init__(self, max_kbit: int, now: float):
        self._max_kbit = max_kbit
        self._since = now
        self._seconds: deque[_Second] = deque()
        self._codecs: dict[Kind, str] = {"video": "", "audio": ""}
        self._size = (0, 0)
        self._received: deque[tuple[float, Received]] = deque()

    def unit(self, unit: Unit, now: float) -> None:
        second = self._second(now)
        second.bytes += len(unit.data)
        second.frames += unit.kind == "video"
        config = unit.config
        self._codecs[unit.kind] = config.codec
        if config.codec in ("h264", "vp8"):
            self._size = (config.width, config.height)

    def kbit(self, now: float) -> int:
        """The rate over the last WINDOW_SECONDS, or since the beginning, but a second at least."""
        self._second(now)
        span = min(WINDOW_SECONDS, max(1.0, now - self._since))
        return round(sum(second.bytes for second in self._seconds) * 8 / 1_000 / span)

    def health(self, received: Received, keyframe_interval: int, advice: Iterable[str], now: float) -> Health:
        """`keyframe_interval` in ticks of HZ; `advice` on what is not measured here."""
        kbit = self.kbit(now)
        span = min(WINDOW_SECONDS, max(1.0, now - self._since))
        fps = sum(second.frames for second in self._seconds) / span
        loss = self._loss(received, now)
        return Health(
            kbit=kbit,
            fps=round(fps, 1),
            width=self._size[0],
            height=self._size[1],
            video=self._codecs["video"],
            audio=self._codecs["audio"],
            keyframe_ms=keyframe_interval * 1_000 // HZ,
            loss_percent=loss,
            round_trip_ms=received.round_trip_ms,
            advice=(*advice, *self._advice(kbit, fps, loss, received.round_trip_ms)),
        )

    def _second(self, now: float) -> _Second:
        """The present one; those of before the window are forgotten."""
        number = int(now)
        while self._seconds and self._seconds[0].number <= now - WINDOW_SECONDS:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        return self._seconds[-1]

    def _loss(self, received: Received, now: float) -> float | None:
        """In percent, since the oldest figures of the window."""
        self._received.append((now, received))
        while len(self._received) > 2 and self._received[0][0] < now - WINDOW_SECONDS:
            self._received.popleft()
        first = self._received[0][1]
        if received.packets is None or received.packets_lost is None:
            return None
        lost = received.packets_lost - (first.packets_lost or 0)
        sent = received.packets - (first.packets or 0) + lost
        return round(100 * lost / sent, 1) if sent > 0 and lost > 0 else 0.0

    def _advice(self, kbit: int, fps: float, loss: float | None, round_trip: float | None) -> list[str]:
        advice = []
        if loss is not None and loss > LOSS_PERCENT:
            advice.append(f"{loss:g}% of the packets are lost: use a cable, or lower the bitrate.")
        if round_trip is not None and round_trip > ROUND_TRIP_MS:
            advice.append(f"Packets take {round_trip:.0f} ms there and back: the network is slow or full.")
        if kbit > NEAR_CAP * self._max_kbit:
            advice.append(f"{kbit} kbit/s: the server cuts the stream off above {self._max_kbit}.")
        if self._codecs["video"] and not fps:
            advice.append("No picture comes.")
        if self._codecs["video"] and not self._codecs["audio"]:
            advice.append("There is no sound.")
        return advice
