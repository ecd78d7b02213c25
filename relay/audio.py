"""A stream's audio in the codec that an output wants: passed on, or decoded and encoded once (libav, by PyAV)."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Literal

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.filter import Graph
from av.packet import Packet

from relay.aac import FRAME, write_specific
from relay.rate import RateLimit
from relay.units import HZ, TICK, AudioConfig, Unit

RATE = 48_000
"""Hz of all that is encoded here. RTP's clock of Opus, and the rate at which AAC's frames are whole ticks."""

_SAMPLE = Fraction(1, RATE)
_OPUS_FRAME = 960
_PRE_SKIP = 312
"""Samples by which libopus's encoder looks ahead (RFC 7845, 4.2): what it makes of a moment comes that much later."""
_SILENT_AFTER = HZ * 2 // 5
"""How far a track may fall back before it is taken for muted, in ticks."""
_SILENCE = 4_800
_MOST_SILENCE = 10
"""Times _SILENCE that one call makes, at 0.2 ms each; what is missing then is made by the calls after it."""
_OFF = 4_800
"""Samples by which the filter may be behind what it has been given; more is a hole that it has not filled."""
_BIT_RATE = {"aac": 128_000, "opus": 96_000}
_MOST_PACE = 2
"""Seconds of sound in a second of the clock: more of it is left out."""
_LONGEST_GAP = 60 * HZ
"""A gap longer than this is no silence but another beginning."""


class AudioLane:
    """Units of one codec from units of any. What comes in `target` at 48 kHz is passed on as it is.

    What has to be transcoded keeps its place on the clock: the codecs' delays are taken off, holes are filled with
    silence, and small differences between time stamps and samples are stretched away, at most 1,000 samples a second.
    """

    def __init__(self, target: Literal["aac", "opus"], failed: Callable[[str], None]):
        """`failed` is told, in words, of units that cannot be decoded; they are left out, as if lost."""
        self._target = target
        self._failed = failed
        self._config: AudioConfig | None = None
        self._coder: _Transcoder | None = None
        self._deaf = False
        self._last = -1
        self._shown = 0
        """Where the pictures are."""
        self._behind = 0
        """How far the sound was behind them when it came last: so far it is no silence."""

    def unit(self, unit: Unit) -> list[Unit]:
        """What becomes of the next unit: none, one or some."""
        config = unit.config
        assert isinstance(config, AudioConfig)  # noqa: S101 - an audio unit's
        self._behind = max(0, self._shown - unit.pts)
        try:
            if config != self._config or (self._coder is not None and self._coder.lost(unit.pts)):
                self._config, self._coder = config, None
                self._deaf = False
                if not self._passes(config):
                    self._deaf = True  # where there is no decoder for it, all of it is left out
                    self._coder = _Transcoder(config, self._target)
                    self._deaf = False
            if self._deaf:
                return []
            if self._coder is not None and not self._coder.keeps_pace(unit.pts):
                self._failed(f"{config.codec}: more sound than time")
                return []
            return self._forward([unit] if self._coder is None else self._coder.unit(unit))
        except FFmpegError as error:
            self._failed(f"{config.codec}: {error.strerror}")
            return []

    def advance(self, pts: int) -> list[Unit]:
        """The silence of a track that has nothing to say while the other one has come to `pts`: at most a second a
        call.
        """
        self._shown = pts
        try:
            return self._forward(self._coder.silence(pts - self._behind)) if self._coder is not None else []
        except FFmpegError as error:
            self._failed(f"silence: {error.strerror}")
            self._config = self._coder = None  # the next unit begins anew
            return []

    def _forward(self, units: list[Unit]) -> list[Unit]:
        """Without what an encoder that begins makes of the time before its first sample, where that is past, or before
        the stream.
        """
        kept = [unit for unit in units if unit.pts > self._last]
        if kept:
            self._last = kept[-1].pts
        return kept

    def _passes(self, config: AudioConfig) -> bool:
        return config.codec == self._target and config.rate == RATE and config.channels <= 2


class _Transcoder:
    def __init__(self, config: AudioConfig, target: Literal["aac", "opus"]):
        self._config = AudioConfig(target, RATE, 2, write_specific(RATE, 2) if target == "aac" else b"")
        self._delay = _PRE_SKIP if config.codec == "opus" else 0
        self._decoder = _decoder(config)
        self._encoder = _encoder(target)
        self._frame = FRAME if target == "aac" else _OPUS_FRAME
        self._graph: Graph | None = None
        self._shape: tuple[str, str, int] | None = None
        self._heard = 0
        self._next = 0
        self._begun = False
        self._following: int | None = None
        self._decoded = 0
        self._pace: RateLimit | None = None

    def keeps_pace(self, pts: int) -> bool:
        """Whether what has been decoded fits into the time until then: a packet of Opus may hold 120 ms of sound and be
        said to last one.
        """
        if self._pace is None:
            self._pace = RateLimit(_MOST_PACE * RATE, 0, pts / HZ)
        return self._pace.allows(self._decoded, pts / HZ)

    def lost(self, pts: int) -> bool:
        """Whether this is too far from what came before to go on with it."""
        return self._begun and not -_SILENT_AFTER <= pts - self._heard <= _LONGEST_GAP

    def unit(self, unit: Unit) -> list[Unit]:
        self._begun, self._heard = True, max(self._heard, unit.pts)
        packet = Packet(unit.data)
        packet.pts = packet.dts = unit.pts
        packet.time_base = TICK
        made: list[Unit] = []
        for index, frame in enumerate(self._decoder.decode(packet)):
            if index == 0:
                self._next = round(unit.pts * TICK * RATE) - self._delay
            self._decoded += frame.samples * RATE // frame.sample_rate
            made += self._put(frame)
        return made

    def silence(self, pts: int) -> list[Unit]:
        made: list[Unit] = []
        for _ in range(_MOST_SILENCE):
            if not self._begun or self._heard + _SILENT_AFTER >= pts:
                break
            frame = AudioFrame(format="fltp", layout="stereo", samples=_SILENCE)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = RATE
            made += self._put(frame)
            self._heard += _SILENCE * HZ // RATE
        return made

    def _put(self, frame: AudioFrame) -> Iterator[Unit]:
        """Through the filters, in whole frames of the encoder, encoded."""
        frame.time_base = _SAMPLE
        frame.pts = self._next
        self._next += frame.samples * RATE // frame.sample_rate
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape or self._graph is None:
            self._shape, self._graph = shape, _graph(frame, self._encoder.format.name, self._frame)
        self._graph.push(frame)
        while True:
            try:
                filtered = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(filtered, AudioFrame)  # noqa: S101 - of an audio graph
            filtered.time_base = _SAMPLE
            filtered.pts = self._counted(filtered)
            for packet in self._encoder.encode(filtered):
                assert packet.pts is not None  # noqa: S101 - given with each frame
                at = round(packet.pts * _SAMPLE * HZ)
                yield Unit("audio", at, at, bytes(packet), True, self._config)

    def _counted(self, frame: AudioFrame) -> int:
        """Frames follow each other without a hole: the filter's own times show what it is yet to stretch away."""
        assert frame.pts is not None  # noqa: S101 - the filter's
        if self._following is None or abs(frame.pts - self._following) > _OFF:
            self._following = frame.pts
        at = self._following
        self._following += frame.samples
        return at


def _decoder(config: AudioConfig) -> AudioCodecContext:
    decoder = av.CodecContext.create("libopus" if config.codec == "opus" else "aac", "r")
    assert isinstance(decoder, AudioCodecContext)  # noqa: S101 - both are
    decoder.sample_rate = config.rate
    decoder.layout = "mono" if config.channels == 1 else "stereo"
    if config.specific:
        decoder.extradata = config.specific
    return decoder


def _encoder(target: Literal["aac", "opus"]) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus" if target == "opus" else "aac", "w")
    assert isinstance(encoder, AudioCodecContext)  # noqa: S101 - both are
    encoder.sample_rate = RATE
    encoder.layout = "stereo"
    encoder.format = "flt" if target == "opus" else "fltp"
    encoder.bit_rate = _BIT_RATE[target]
    encoder.time_base = _SAMPLE
    encoder.open()
    return encoder


def _graph(frame: AudioFrame, sample_format: str, size: int) -> Graph:
    graph = Graph()
    graph.threads = 1  # none of its own
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=_SAMPLE
    )
    options = f"osr={RATE}:ochl=stereo:osf={sample_format}:async=1000:min_hard_comp=0.04"
    last = source
    for name, args in (("aresample", options), ("asetnsamples", f"n={size}:p=0"), ("abuffersink", None)):
        following = graph.add(name, args)
        last.link_to(following)
        last = following
    graph.configure()
    return graph
