"""One stream at work: units of whoever publishes it at present, on its clock, to its outputs."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import msgspec
import structlog
from msgspec import Struct

from relay.audio import AudioLane
from relay.gop import GopCache
from relay.health import Meter
from relay.keyframes import Keyframes
from relay.ports import Admitted, Output, Publisher, Reason
from relay.rate import BYTES_OF_KBIT, RateLimit
from relay.stream_clock import StreamClock
from relay.units import HZ, AudioConfig, Kind, Unit, VideoConfig

log = structlog.get_logger("relay.stream")

AUDIO_ALONE_SECONDS = 3.0
"""Audio of a new publisher waits so long for a first keyframe; then it is a stream without pictures."""
CHANGES_A_SECOND = 1
"""Of a publisher's settings of picture and sound, averaged over five seconds: each costs a segment and a file of its
own, which are kept for hours, and of sound new decoders.
"""
UNITS_A_SECOND = 1_000
"""Of a publisher: 120 pictures, and twice as much sound as Opus has at its shortest. Each costs every viewer a packet.
"""


class Caps(Struct, frozen=True):
    """What a publisher may send: kbit/s, as `RateLimit` averages them, and pixels a picture."""

    max_kbit: int
    max_pixels: int


class TooMuch(Exception):
    """A publisher sends more than it may; the text is for its owner."""


class _Budget:
    """What a publisher may send in the time of some clock, on which stalls are made good."""

    def __init__(self, max_kbit: int, now: float, of: str):
        """`of` what clock, in words, where it is not the wall's."""
        self._kbit, self._of, self._now = max_kbit, of, now
        self._rate, self._bytes = RateLimit(max_kbit * BYTES_OF_KBIT, 0, now), 0
        self._pace, self._units = RateLimit(UNITS_A_SECOND, 0, now), 0

    def spend(self, size: int, now: float) -> None:
        """A unit of so many bytes; `now` in seconds, of whichever track. Raises TooMuch."""
        self._now = max(self._now, now)
        self._bytes += size
        self._units += 1
        if not self._rate.allows(self._bytes, self._now):
            raise TooMuch(f"More than {self._kbit} kbit a second{self._of}: lower the encoder's bitrate.")
        if not self._pace.allows(self._units, self._now):
            raise TooMuch(f"More than {UNITS_A_SECOND} frames of picture and sound a second{self._of}.")


class Publishing:
    """The present publisher of a stream, and what is known of it."""

    def __init__(self, admitted: Admitted, publisher: Publisher, caps: Caps, now: float):
        self.admitted = admitted
        self.publisher = publisher
        self.since = now
        self.begun = False
        """Its units count: there was a keyframe, or it seems to have no pictures."""
        self.flowing = False
        """Outputs have something of it."""
        self.keyframes = Keyframes(regular=publisher.kind == "whip")
        self.meter = Meter(caps.max_kbit, now)
        self.arriving = _Budget(caps.max_kbit, now, "")
        self.placed = _Budget(caps.max_kbit, 0.0, " of its own clock, which is too slow")
        """What a part or a group of pictures becomes goes by the publisher's clock."""
        self._configs: dict[Kind, VideoConfig | AudioConfig] = {}
        self._changes, self._changed = RateLimit(CHANGES_A_SECOND, 0, now), 0

    def take_config(self, unit: Unit, now: float) -> None:
        """What the next unit is in. Raises TooMuch."""
        before = self._configs.setdefault(unit.kind, unit.config)
        if unit.config is before:
            return
        self._configs[unit.kind] = unit.config
        if unit.config != before:
            self._changed += 1
            if not self._changes.allows(self._changed, now):
                raise TooMuch("The settings of picture or sound change more than once a second.")


class Stream:
    """`epoch_ms` is the moment of its clock's 0, in milliseconds since the Unix epoch; it and `began` are set by the
    first unit. Times `now` are of `time.monotonic()`.

    An output that raises is taken out and counted: it costs nobody else anything.
    """

    def __init__(self, admitted: Admitted, caps: Caps):
        self.admitted = admitted
        self.epoch_ms = 0
        self.publishing: Publishing | None = None
        self.ended = False
        self.outputs: list[Output] = []
        self.failed_outputs = 0
        self.undecodable = 0
        """Audio units left out because they could not be decoded."""
        self._lanes: dict[Literal["aac", "opus"], AudioLane] = {}
        self.clock = StreamClock()
        self.gop = GopCache()
        self.video: VideoConfig | None = None
        self.audio: AudioConfig | None = None
        self._caps = caps
        self._zero: float | None = None

    @property
    def room(self) -> str:
        return self.admitted.room

    @property
    def has_b_frames(self) -> bool:
        return any(unit.pts != unit.dts for unit in self.gop.units("aac") if unit.kind == "video")

    # Publishers

    def attach(self, admitted: Admitted, publisher: Publisher, now: float) -> Publishing:
        """From now on this one is listened to. The caller has closed the one before."""
        self.admitted = admitted
        self.publishing = Publishing(admitted, publisher, self._caps, now)
        self.clock.new_publisher()
        return self.publishing

    def detach(self) -> None:
        """The publisher is gone; another may come."""
        self.publishing = None
        self.gop.clear()
        self._each(lambda output: output.interrupted())

    def unit(self, publishing: Publishing, unit: Unit, now: float) -> bool:
        """A unit of the present publisher, on its own clock. Whether it is the first of which outputs have something:
        sound that is made anew comes later than it went in. Raises TooMuch.
        """
        publishing.meter.unit(unit, now)
        self._hold_against_caps(publishing, unit, now)
        if not publishing.begun and not self._may_begin(publishing, unit, now):
            self._ask(publishing, now, True)
            return False
        if self._zero is None:
            self._zero = now
            self.epoch_ms = time.time_ns() // 1_000_000
        place = self.clock.place(unit.kind, unit.pts, unit.dts, round((now - self._zero) * HZ))
        if place is None:
            return False
        publishing.begun = True
        publishing.placed.spend(len(unit.data), place.dts / HZ)
        if isinstance(unit.config, VideoConfig):
            self.video = unit.config
            publishing.keyframes.video(place.dts, unit.key, now)
        else:
            self.audio = unit.config
        given = self._give(msgspec.structs.replace(unit, pts=place.pts, dts=place.dts))
        self._ask(publishing, now, any(output.wants_keyframe for output in self.outputs))
        first = given and not publishing.flowing
        publishing.flowing = publishing.flowing or given
        return first

    def _hold_against_caps(self, publishing: Publishing, unit: Unit, now: float) -> None:
        config = unit.config
        if isinstance(config, VideoConfig) and config.width * config.height > self._caps.max_pixels:
            raise TooMuch(f"Pictures of {config.width} × {config.height} are too large for this server.")
        publishing.take_config(unit, now)
        publishing.arriving.spend(len(unit.data), now)

    @staticmethod
    def _may_begin(publishing: Publishing, unit: Unit, now: float) -> bool:
        if unit.kind == "video":
            return unit.key
        return now - publishing.since >= AUDIO_ALONE_SECONDS

    @staticmethod
    def _ask(publishing: Publishing, now: float, wanted: bool) -> None:
        if publishing.keyframes.ask(now, wanted):
            publishing.publisher.ask_keyframe()

    # Outputs

    def add(self, output: Output) -> None:
        """Gives it the pictures since the latest keyframe, and all units from now on."""
        self.outputs.append(output)
        self._each(self._catch_up, [output])

    def remove(self, output: Output) -> None:
        if output in self.outputs:
            self.outputs.remove(output)
            wanted = {some.audio for some in self.outputs}
            self._lanes = {codec: lane for codec, lane in self._lanes.items() if codec in wanted}

    def end(self, reason: Reason) -> None:
        """No unit comes any more, from anybody."""
        self.ended = True
        self.publishing = None
        self.gop.clear()
        self._each(lambda output: output.ended(reason))
        self.outputs.clear()
        self._lanes.clear()

    def _catch_up(self, output: Output) -> None:
        for unit in self.gop.units(output.audio):
            output.unit(unit)

    def _give(self, unit: Unit) -> bool:
        """Whether anything came of it yet."""
        if isinstance(unit.config, VideoConfig):
            self.gop.add(unit)
            self._each(partial(_hand_over, unit))
            for codec, lane in self._lanes.items():
                self._give_audio(codec, lane.advance(unit.dts))
            return True
        given = False
        for codec in {output.audio for output in self.outputs}:
            given = self._give_audio(codec, self._lane(codec).unit(unit)) or given
        return given

    def _give_audio(self, codec: Literal["aac", "opus"], units: Iterable[Unit]) -> bool:
        given = False
        for unit in units:
            given = True
            self.gop.add(unit)
            self._each(partial(_hand_over, unit), [some for some in self.outputs if some.audio == codec])
        return given

    def _lane(self, codec: Literal["aac", "opus"]) -> AudioLane:
        if codec not in self._lanes:
            self._lanes[codec] = AudioLane(codec, self._cannot_decode)
        return self._lanes[codec]

    def _cannot_decode(self, reason: str) -> None:
        self.undecodable += 1
        if self.undecodable == 1:
            log.warning("audio_undecodable", room=self.room, reason=reason)

    def _each(self, act: Callable[[Output], None], outputs: Iterable[Output] | None = None) -> None:
        for output in tuple(self.outputs if outputs is None else outputs):
            try:
                act(output)
            except Exception:
                log.exception("output_failed", room=self.room, output=type(output).__name__)
                self.failed_outputs += 1
                self.remove(output)
                self._end_failed(output)

    def _end_failed(self, output: Output) -> None:
        """Whoever is behind it hears that nothing more comes."""
        try:
            output.ended("failed")
        except Exception:
            log.exception("output_failed", room=self.room, output=type(output).__name__)


def _hand_over(unit: Unit, output: Output) -> None:
    output.unit(unit)
