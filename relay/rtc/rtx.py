"""Retransmissions as a stream of their own (RFC 4588)."""

from relay.rtc.rtp import Rtp


def unwrap(packet: Rtp, payload_type: int, ssrc: int) -> Rtp | None:
    """The packet that is sent again; None for padding, by which senders probe the bandwidth."""
    if len(packet.payload) <= 2:
        return None
    sequence = int.from_bytes(packet.payload[:2])
    return Rtp(payload_type, packet.marker, sequence, packet.timestamp, ssrc, packet.payload[2:])
