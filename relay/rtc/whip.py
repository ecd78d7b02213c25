"""A publisher by WHIP (RFC 9725): RTP in, access units out."""

import asyncio
from collections.abc import Callable
from secrets import randbits
from typing import Final, Literal

from aiortc.rtp import RtcpSrPacket

from relay.ports import Intake, Reason, Received
from relay.rtc import rtcp, rtp, xr
from relay.rtc.clock import PublisherClock
from relay.rtc.connection import Connection
from relay.rtc.depacketise import Frame
from relay.rtc.receive import Track
from relay.rtc.sdp import RATES
from relay.units import Kind, Unit

SILENCE = 4.5
"""Seconds without an authentic datagram after which a publisher is gone."""

KEYFRAME_INTERVAL = 0.5
_REPORT_INTERVAL = 1.0
_MOST_WAITING = 2_048
_REASONS: Final[dict[str, Reason]] = {"failed": "failed", "gone": "gone"}


class WhipPublisher:
    """Frames wait, at most a second, until it is known how the two tracks' clocks stand to each other."""

    kind: Literal["whip", "rtmp"] = "whip"

    def __init__(self, tracks: list[Track], max_kbit: int, ended: Callable[["WhipPublisher"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tracks = {track.kind: track for track in tracks}
        self._by_type = {track.payload_type: track for track in tracks}
        self._by_type |= {track.rtx: track for track in tracks if track.rtx is not None}
        self._max_bits, self._ended = 1_000 * max_kbit, ended
        self.connection: Connection | None = None
        """Set as soon as there is one, until it is closed."""
        self.intake: Intake | None = None
        self._ssrc = randbits(32)
        self._clock: PublisherClock | None = None
        self._waiting: list[tuple[Kind, Frame]] = []
        self._times: dict[Kind, int] = {}
        self._asked = self._reported = -1.0
        self._heard = self._loop.time()
        self._round_trip: float | None = None
        """Seconds, as the publisher answers; who answers not, as aiortc, is measured by what is asked for again."""
        self.malformed = 0

    # Publisher

    def ask_keyframe(self) -> None:
        now = self._loop.time()
        video = self._tracks.get("video")
        if video is None or video.ssrc is None or now - self._asked < KEYFRAME_INTERVAL:
            return
        self._asked = now
        self._send(rtcp.pli(self._ssrc, video.ssrc))

    def close(self, reason: Reason) -> None:
        if self.connection is not None:
            self.connection.close(reason)

    def received(self) -> Received:
        tracks = self._tracks.values()
        video = self._tracks.get("video")
        seconds = self._round_trip
        if seconds is None and video is not None:
            seconds = video.missing.round_trip
        lost = sum(track.lost for track in tracks)
        return Received(
            sum(track.bytes for track in tracks),
            lost,
            lost + sum(track.received for track in tracks),
            None if seconds is None else 1_000 * seconds,
        )

    # Session

    def connected(self) -> None:
        now = self._heard = self._loop.time()
        self._clock = PublisherClock({kind: RATES[track.codec] for kind, track in self._tracks.items()}, now)

    def rtp(self, data: bytes) -> None:
        now = self._heard = self._loop.time()
        try:
            packet = rtp.parse(data)
        except ValueError:
            self.malformed += 1
            return
        track = self._by_type.get(packet.payload_type)
        if track is None or self._clock is None:
            return
        if track.switches(packet):
            self._clock.restart(track.kind)
        if packet.payload_type == track.payload_type:
            self._clock.arrived(track.kind, packet.timestamp, now)
        self._give(track, track.packet(packet, now), now)

    def rtcp(self, data: bytes) -> None:
        now = self._heard = self._loop.time()
        try:
            packets = rtcp.parse(data)
        except ValueError:
            self.malformed += 1
            return
        if (seconds := xr.round_trip(data, self._ssrc, now)) is not None:
            self._round_trip = seconds
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and self._clock is not None:
                for track in self._tracks.values():
                    if track.ssrc == packet.ssrc:
                        info = packet.sender_info
                        track.reception.sender_report(info.ntp_timestamp, now)
                        self._clock.report(track.kind, info.ntp_timestamp, info.rtp_timestamp)

    def closed(self, why: str) -> None:
        if self.intake is not None:
            self.intake.left(_REASONS.get(why, why))  # type: ignore[arg-type]
            self.intake = None
        self._waiting.clear()
        self.connection = None
        self._ended(self)

    # Time

    def tick(self, now: float) -> None:
        """Every 20 ms: what is asked for again, given up, and reported."""
        connection = self.connection  # what is given below may be refused, and close it
        if self._clock is None or connection is None:
            return
        for track in self._tracks.values():
            if due := track.due(now):
                self._send(rtcp.nack(self._ssrc, track.ssrc or 0, due))
            self._give(track, track.expire(now), now)
        if self._waiting:
            self._flush(now)
        if now - self._reported >= _REPORT_INTERVAL:
            self._reported = now
            self._report(now)
        if now - max(self._heard, connection.party.heard) > SILENCE:
            connection.close("gone")

    def _report(self, now: float) -> None:
        """Each second. The bound on the bit rate is said with it: browsers then begin with it and need not feel their
        way up.
        """
        tracks = [track for track in self._tracks.values() if track.ssrc is not None]
        blocks = [track.reception.block(track.ssrc or 0, now) for track in tracks]
        bound = rtcp.remb(self._ssrc, self._max_bits, [track.ssrc or 0 for track in tracks])
        if self.connection is not None:
            report = rtcp.receiver_report(self._ssrc, blocks)
            self.connection.send_rtcp(report + bound + xr.reference_time(self._ssrc, now))

    def _send(self, feedback: bytes) -> None:
        if self.connection is not None:
            self.connection.send_rtcp(rtcp.receiver_report(self._ssrc) + feedback)

    # Units

    def _give(self, track: Track, frames: list[Frame], now: float) -> None:
        if track.wants_keyframe and track.ssrc is not None:
            self.ask_keyframe()
        if not frames:
            return
        self._waiting += [(track.kind, frame) for frame in frames]
        del self._waiting[:-_MOST_WAITING]
        self._flush(now)

    def _flush(self, now: float) -> None:
        if self._clock is None or not self._clock.settled(now):
            return
        waiting, self._waiting = self._waiting, []
        for kind, frame in waiting:
            if self.intake is None:
                return
            time = self._clock.time(kind, frame.timestamp)
            # Nothing that is sent by WebRTC is reordered: a frame that goes back is one that nobody can show.
            if time > self._times.get(kind, time - 1):
                self._times[kind] = time
                self.intake.unit(Unit(kind, time, time, frame.data, frame.key, frame.config))
