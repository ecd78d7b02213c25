"""A stream's output in parts: to edge processes, and to disk."""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import structlog

from relay.cutter import Cutter
from relay.feed_values import Interrupted, Over, Poster, Told
from relay.parts_values import Cut, Init, Keyframes, Part
from relay.ports import Reason
from relay.units import Unit

log = structlog.get_logger("relay.parts")


class Sink(Protocol):
    def tell(self, told: Told) -> None:
        """In order; returns at once. Nothing comes after `Over`."""


class Parts:
    """A `relay.ports.Output`. Each sink is told all, whatever becomes of the others: one that raises is left out from
    then on, and `failures` says how many have been.
    """

    audio: Literal["aac", "opus"] = "aac"

    def __init__(self, begin: Callable[[], Iterable[Sink]], keyframes: Callable[[Keyframes], None] = lambda _: None):
        """`begin` makes the sinks with the first unit, when the stream knows its epoch: so they are told of the stream
        before anybody hears that it flows, though its first part is yet to be cut. `keyframes` is told when they come
        too seldom for low latency, and when they do not any more.
        """
        self.failures = 0
        self.codecs = ""
        self.size = (0, 0)
        self._begin = begin
        self._begun = False
        self._sinks: list[Sink] = []
        self._keyframes = keyframes
        self._cutter = Cutter()
        self._flowing = False
        self._ended = False
        self._poster = b""
        """One that was there before anything was told."""

    @property
    def wants_keyframe(self) -> bool:
        return self._cutter.wants_keyframe

    def unit(self, unit: Unit) -> None:
        if self._ended:
            return
        if not self._begun:
            self._begun = True
            self._sinks = list(self._begin())
            if self._poster:
                self._tell(Poster(self._poster))
        self._tell_all(self._cutter.unit(unit))

    def poster(self, picture: bytes) -> None:
        """A WebP picture of what is shown, or is about to be."""
        if self._begun and not self._ended:
            self._tell(Poster(picture))
        self._poster = picture

    def interrupted(self) -> None:
        if self._flowing and not self._ended:
            self._tell_all(self._cutter.flush())
            self._flowing = False
            self._tell(Interrupted())

    def ended(self, reason: Reason) -> None:
        if not self._ended:
            self._ended = True
            try:
                self._tell_all(self._cutter.flush())
            finally:
                if self._begun:
                    self._tell(Over(reason))

    def _tell_all(self, cuts: list[Cut]) -> None:
        for cut in cuts:
            if isinstance(cut, Init):
                self.codecs, self.size = cut.codecs, (cut.width, cut.height)
            elif isinstance(cut, Keyframes):
                self._keyframes(cut)
            elif isinstance(cut, Part):
                self._flowing = True
            self._tell(cut)

    def _tell(self, told: Told) -> None:
        for sink in tuple(self._sinks):
            try:
                sink.tell(told)
            except Exception:
                log.exception("sink_failed", sink=type(sink).__name__)
                self.failures += 1
                self._sinks.remove(sink)
