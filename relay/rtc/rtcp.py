"""RTCP (RFC 3550, section 6; RFC 4585): the packets we send and read, in aiortc's classes."""

from collections.abc import Iterable

from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
)

from relay.rtc.rtp import Extender

_CNAME = 1
_APPLICATION = 15
_UNIX_IN_NTP = 2_208_988_800


def parse(data: bytes) -> list[AnyRtcpPacket]:
    """Raises ValueError."""
    return RtcpPacket.parse(data)


def ntp(unix: float) -> int:
    """NTP's 64 bits of a Unix time in seconds."""
    return int((unix + _UNIX_IN_NTP) * (1 << 32)) & (1 << 64) - 1


def asks_keyframe(packet: AnyRtcpPacket) -> bool:
    return isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR)


def asked_again(packet: AnyRtcpPacket) -> list[int]:
    """Sequence numbers of a NACK; of anything else none."""
    if not isinstance(packet, RtcpRtpfbPacket) or packet.fmt != RTCP_RTPFB_NACK:
        return []
    return [sequence & 0xFFFF for sequence in packet.lost]  # aiortc counts on over the wrap


def _described(ssrc: int) -> bytes:
    return bytes(RtcpSdesPacket([RtcpSourceInfo(ssrc, [(_CNAME, b"galaxy")])]))


def receiver_report(ssrc: int, reports: Iterable[RtcpReceiverInfo] = ()) -> bytes:
    """What a compound packet of a receiver begins with."""
    return bytes(RtcpRrPacket(ssrc, list(reports))) + _described(ssrc)


def sender_report(ssrc: int, unix: float, timestamp: int, packets: int, octets: int) -> bytes:
    info = RtcpSenderInfo(ntp(unix), timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return bytes(RtcpSrPacket(ssrc, info)) + _described(ssrc)


def nack(ssrc: int, media: int, sequences: list[int]) -> bytes:
    # aiortc packs them in the order given, and fails where one is lower than the one before, as after a wrap.
    return bytes(RtcpRtpfbPacket(RTCP_RTPFB_NACK, ssrc, media, sorted(sequences)))


def pli(ssrc: int, media: int) -> bytes:
    return bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, ssrc, media))


def remb(ssrc: int, bits: int, media: list[int]) -> bytes:
    """At most so many bits a second (draft-alvestrand-rmcat-remb-03)."""
    return bytes(RtcpPsfbPacket(_APPLICATION, ssrc, 0, pack_remb_fci(bits, media)))


class Reception:
    """What is reported of one source: loss, jitter, and when its last sender report came."""

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self._transit: int | None = None
        self._jitter = 0.0
        self._extender = Extender(16)
        self._base: int | None = None
        self._highest = 0
        self._received = self._expected_before = self._received_before = 0
        self._report: tuple[int, float] | None = None

    def packet(self, sequence: int, timestamp: int, now: float) -> None:
        index = self._extender.extend(sequence)
        if self._base is None:
            self._base = self._highest = index
        self._highest = max(self._highest, index)
        self._received += 1
        transit = int(now * self._hz) - timestamp & 0xFFFFFFFF
        if self._transit is not None:
            away = abs((transit - self._transit + (1 << 31) & 0xFFFFFFFF) - (1 << 31))
            self._jitter += (min(away, self._hz) - self._jitter) / 16
        self._transit = transit

    def sender_report(self, ntp_time: int, now: float) -> None:
        self._report = ntp_time >> 16 & 0xFFFFFFFF, now

    def block(self, ssrc: int, now: float) -> RtcpReceiverInfo:
        """Since the last one, and in all."""
        expected = self._highest - (self._base or 0) + 1
        since, received = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        fraction = max(0, min(255, 256 * (since - received) // since)) if since > 0 else 0
        lost = max(-(1 << 23), min((1 << 23) - 1, expected - self._received))
        last, delay = (self._report[0], int((now - self._report[1]) * 65_536)) if self._report else (0, 0)
        return RtcpReceiverInfo(
            ssrc, fraction, lost, self._highest & 0xFFFFFFFF, int(self._jitter), last, delay & 0xFFFFFFFF
        )
