"""One viewer by WHEP: its packets, what it asks for again, and how it fares."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from secrets import randbits

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket
from msgspec import Struct

from relay.ports import Bearer
from relay.rtc import rtcp, rtx
from relay.rtc.answer import Chosen, Source
from relay.rtc.connection import Connection
from relay.rtc.packetise import Frame
from relay.rtc.protect import Outbound
from relay.rtc.rtp import HEADER
from relay.units import HZ, Kind

_KEPT = 1_024
"""Packets of a track that can be asked for again: a second of 10 Mbit/s."""
_BUDGET_SHARE, _MOST_BUDGET = 0.25, 512
"""Packets asked for again: at most a quarter of what is sent, and so many at once. What is not sent again is a loss,
which the viewer makes good by asking for a keyframe.
"""
_PICTURE_SECONDS, _MOST_PICTURES = 4.0, 4
"""A viewer may ask for a keyframe so often, and so often at once: each is sent to all, and makes pictures worse."""
_LOSS, _LOSS_SECONDS = 0.10, 5.0
_CONSENT_SECONDS = 30.0
"""RFC 7675, section 5.1."""
_REPORT_SECONDS = 1.0


class Sent(Struct, gc=False):
    """A frame as it was sent, its first packet under `sequence`; `protected` where packets can only be sent again as
    they were.
    """

    sequence: int
    timestamp: int
    frame: Frame
    protected: list[bytes] | None


class Outgoing:
    """One track to one viewer: its own SSRC, sequence numbers and timestamps."""

    def __init__(self, chosen: Chosen, source: Source, hz: int) -> None:
        self.source, self.codec = source, chosen.codec
        self.hz = hz
        self.type, self.rtx = chosen.format.payload_type, chosen.rtx
        self.sequence = randbits(15)  # far from the wrap, so that a receiver's first packets may come in any order
        self.rtx_sequence = randbits(15)
        self.offset = randbits(32)
        self.packets = self.octets = 0
        self._kept: deque[Sent] = deque()
        self._kept_packets = 0

    def timestamp(self, pts: int) -> int:
        return (pts * self.hz // HZ + self.offset) & 0xFFFFFFFF

    def send(self, frame: Frame, timestamp: int, outbound: Outbound, connection: Connection) -> None:
        protector, tag, first = connection.protector, outbound.tag, self.sequence
        video = frame.kind == "video"
        runs = frame.runs.get(tag)
        if runs is None:
            runs = frame.runs[tag] = protector.runs(frame.payloads, tag, marker=video)
        kept: list[bytes] | None = [] if video and self.rtx is None else None
        sequence, kind, ssrc = first, self.type, self.source.ssrc
        for run in runs:
            protected = protector.protect(outbound, run, kind, sequence, timestamp, ssrc)
            connection.send_run(protected, run.size, len(run.packets))
            sequence += len(run.packets)
            if kept is not None:
                kept += run.cut(protected)
        self.sequence = sequence & 0xFFFF
        self.packets += sequence - first
        self.octets += frame.bytes
        if video:
            self._keep(Sent(first, timestamp, frame, kept))

    def _keep(self, sent: Sent) -> None:
        self._kept.append(sent)
        self._kept_packets += len(sent.frame.payloads)
        while self._kept_packets > _KEPT and len(self._kept) > 1:
            self._kept_packets -= len(self._kept.popleft().frame.payloads)

    def again(self, sequence: int, protect: Callable[[bytes], bytes]) -> bytes | None:
        """A packet that was sent, to be sent again: in a stream of its own where the viewer takes one, else the very
        same bytes, as another packet under its number would use a nonce twice. None where it is not kept any more.
        """
        back = self.sequence - sequence & 0xFFFF
        at = bisect_right(self._kept, -back, key=lambda one: -(self.sequence - one.sequence & 0xFFFF)) - 1
        if at < 0:
            return None
        sent = self._kept[at]
        index = sequence - sent.sequence & 0xFFFF
        if index >= len(sent.frame.payloads):
            return None
        if self.rtx is None:
            return sent.protected[index] if sent.protected is not None else None
        marker = index == len(sent.frame.payloads) - 1
        header = HEADER.pack(0x80, self.rtx | marker << 7, self.rtx_sequence, sent.timestamp, self.source.rtx_ssrc)
        self.rtx_sequence = (self.rtx_sequence + 1) & 0xFFFF
        return protect(header + rtx.wrap(sequence, sent.frame.payloads[index]))


class Viewer:
    """A `Session` of a connection. `joined` is called when it can be sent to, `lost_picture` when it asks for a
    keyframe, `over` once, when it has ended.
    """

    def __init__(
        self,
        bearer: Bearer,
        tracks: dict[Kind, Outgoing],
        joined: Callable[["Viewer"], None],
        lost_picture: Callable[[], None],
        over: Callable[["Viewer"], None],
    ) -> None:
        self.bearer, self.tracks = bearer, tracks
        self.connection: Connection | None = None
        """Set as soon as there is one, until it is closed."""
        self.started = "video" not in tracks
        """It has had a keyframe, or needs none."""
        self.retransmitted = self.not_retransmitted = 0
        self._joined, self._lost_picture, self._over = joined, lost_picture, over
        self._by_ssrc = {track.source.ssrc: track for track in tracks.values()}
        self._budget = float(_MOST_BUDGET)
        self._pictures, self._asked = float(_MOST_PICTURES), 0.0
        self._lossy_since: float | None = None
        self._reported = 0.0
        self.round_trip: float | None = None

    # Session

    def connected(self) -> None:
        self._joined(self)

    def rtp(self, data: bytes) -> None:
        """Viewers have nothing to send."""

    def rtcp(self, data: bytes) -> None:
        try:
            packets = rtcp.parse(data)
        except ValueError:
            return  # of an authentic peer: its own affair
        now = time.monotonic()
        for packet in packets:
            if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
                for report in packet.reports:
                    self._read(report, now)
            elif rtcp.asks_keyframe(packet):
                self._ask_picture(now)
            elif (asked := rtcp.asked_again(packet)) and hasattr(packet, "media_ssrc"):
                self._send_again(self._by_ssrc.get(packet.media_ssrc), asked)

    def closed(self, why: str) -> None:
        self.connection = None
        self._over(self)

    # Sending

    def send(self, frame: Frame, pts: int) -> None:
        """`pts`: what to say of it instead of the frame's own."""
        track, connection = self.tracks.get(frame.kind), self.connection
        if track is None or connection is None or (outbound := connection.secured.outbound) is None:
            return
        track.send(frame, track.timestamp(pts), outbound, connection)
        self._budget = min(_MOST_BUDGET, self._budget + _BUDGET_SHARE * len(frame.payloads))

    def report(self, now: float, pts: int, unix: float) -> None:
        """Each second, where the stream's clock stands now: sender reports, by which both tracks are played in time."""
        if self.connection is None or now - self._reported < _REPORT_SECONDS:
            return
        self._reported = now
        for track in self.tracks.values():
            self.connection.send_rtcp(
                rtcp.sender_report(track.source.ssrc, unix, track.timestamp(pts), track.packets, track.octets)
            )

    def _ask_picture(self, now: float) -> None:
        self._pictures = min(_MOST_PICTURES, self._pictures + (now - self._asked) / _PICTURE_SECONDS)
        self._asked = now
        if self._pictures >= 1:
            self._pictures -= 1
            self._lost_picture()

    def _send_again(self, track: Outgoing | None, sequences: list[int]) -> None:
        connection = self.connection
        if track is None or connection is None or (outbound := connection.secured.outbound) is None:
            return
        for index, sequence in enumerate(sequences):
            if self._budget < 1:
                self.not_retransmitted += len(sequences) - index
                return
            self._budget -= 1  # also for what is not kept: it has to be looked for
            packet = track.again(sequence, outbound.protect)
            if packet is None:
                self.not_retransmitted += 1
            else:
                self.retransmitted += 1
                connection.send(packet)

    # How it fares

    def _read(self, report: RtcpReceiverInfo, now: float) -> None:
        track = self._by_ssrc.get(report.ssrc)
        if track is None:
            return
        if report.lsr:
            trip = (rtcp.ntp(time.time()) >> 16 & 0xFFFFFFFF) - report.lsr - report.dlsr & 0xFFFFFFFF
            if trip < 1 << 22:  # a minute: more is another clock's
                self.round_trip = trip / 65_536
        if track is self.tracks.get("video"):
            if report.fraction_lost / 256 <= _LOSS:
                self._lossy_since = None
            elif self._lossy_since is None:
                self._lossy_since = now

    def gone(self, now: float, loop_now: float) -> str | None:
        """Why it is to be ended: it has withdrawn its consent by silence ("gone"), or its network loses too much for
        packets that are late at once ("lossy"), and a way that waits for them serves it better.
        """
        if self.connection is not None and loop_now - self.connection.party.heard > _CONSENT_SECONDS:
            return "gone"
        if self._lossy_since is not None and now - self._lossy_since >= _LOSS_SECONDS:
            return "lossy"
        return None
