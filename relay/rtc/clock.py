"""One clock for a publisher's two tracks (RFC 3550, section 6.4.1).

A track's RTP timestamps begin anywhere. Sender reports say where each of them is on the sender's own wall clock (NTP),
and so on the other's. Audio, whose frames follow each other exactly, is taken as it comes; video is put beside it.
"""

from typing import Final

from relay.rtc.rtp import TIMESTAMP_BITS, Extender
from relay.units import HZ, Kind

WAIT: Final = 1.0
"""Seconds for which the first units wait for the sender reports of both tracks."""

_SLEW = 100
"""Corrections are at most one in so many: 10 ms a second."""

_DEAD_BAND = HZ // 500
"""Reports are exact to a few milliseconds: below 2 ms nothing is corrected."""


class _Track:
    def __init__(self, hz: int) -> None:
        self.hz = hz
        self.extender = Extender(TIMESTAMP_BITS)
        self.offset: int | None = None
        """What is added to the track's ticks. None until anything has come."""
        self.target = 0
        self.last = 0
        self.on_wall: int | None = None
        """Where the wall clock is when the track's ticks are 0, by its last sender report."""

    def ticks(self, extended: int) -> int:
        return extended * HZ // self.hz


class PublisherClock:
    """Times in ticks of `relay.units.HZ`, on the clock by which packets arrive here; later on that of the audio."""

    def __init__(self, rates: dict[Kind, int], now: float) -> None:
        """`rates`: the tracks that are to come, and in how many Hz their timestamps are. `now` in seconds."""
        self._tracks = {kind: _Track(hz) for kind, hz in rates.items()}
        self._until = now + WAIT
        self._settled = len(rates) < 2

    def arrived(self, kind: Kind, timestamp: int, now: float) -> None:
        """A packet with this timestamp has come. Before the clock is settled that of the least delay tells where the
        track is.
        """
        track = self._tracks[kind]
        offset = round(now * HZ) - track.ticks(track.extender.extend(timestamp))
        if track.offset is None or not self._settled:
            track.offset = track.target = offset if track.offset is None else min(offset, track.offset)

    def report(self, kind: Kind, ntp: int, timestamp: int) -> None:
        """A sender report: `ntp` in its 64 bits, `timestamp` of the RTP clock at that moment."""
        track = self._tracks[kind]
        if not ntp or track.offset is None:
            return
        track.on_wall = (ntp * HZ >> 32) - track.ticks(track.extender.peek(timestamp))
        self._align()

    def restart(self, kind: Kind) -> None:
        """The track begins anew, with timestamps that have nothing to do with those before."""
        self._tracks[kind] = _Track(self._tracks[kind].hz)

    def settled(self, now: float) -> bool:
        """Whether times can be given: both tracks' reports have come, or the wait is over."""
        if not self._settled and (
            now >= self._until or all(track.on_wall is not None for track in self._tracks.values())
        ):
            self._settled = True
            self._align(at_once=True)
        return self._settled

    def time(self, kind: Kind, timestamp: int) -> int:
        """Of a frame whose packets have `arrived`."""
        track = self._tracks[kind]
        ticks = track.ticks(track.extender.peek(timestamp))
        away = track.target - (track.offset or 0)
        if abs(away) > _DEAD_BAND:
            most = max(0, ticks - track.last) // _SLEW
            track.offset = (track.offset or 0) + max(-most, min(most, away))
        track.last = ticks
        return ticks + (track.offset or 0)

    def _align(self, at_once: bool = False) -> None:
        """Puts video beside audio: by the wall clock both have the same time at the same moment."""
        audio, video = self._tracks.get("audio"), self._tracks.get("video")
        if audio is None or video is None or audio.offset is None or video.offset is None:
            return
        if audio.on_wall is None or video.on_wall is None:
            return
        video.target = audio.offset + video.on_wall - audio.on_wall
        if at_once:
            video.offset = video.target
