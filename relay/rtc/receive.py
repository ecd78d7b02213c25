"""One track of a publisher: its packets in order, what is missing asked for again, and frames of them."""

from collections.abc import Iterable

from relay.rtc import rtx
from relay.rtc.answer import Chosen
from relay.rtc.depacketise import H264, Depacketiser, Frame, Opus, Vp8
from relay.rtc.jitter import Indexed, Jitter
from relay.rtc.nack import Missing
from relay.rtc.rtcp import Reception
from relay.rtc.rtp import Rtp
from relay.rtc.sdp import RATES
from relay.units import Kind

_VIDEO_DEADLINE = 0.4
_AUDIO_DEADLINE = 0.08
"""Audio is not sent again: this only waits for packets that others have overtaken."""

_DEPACKETISERS: dict[str, type[H264 | Vp8 | Opus]] = {"h264": H264, "vp8": Vp8, "opus": Opus}


class Track:
    """`wants_keyframe`: nothing can be decoded until one comes. `restarted` is set where another source takes over."""

    def __init__(self, kind: Kind, chosen: Chosen) -> None:
        self.kind, self.codec = kind, chosen.codec
        self.payload_type, self.rtx = chosen.format.payload_type, chosen.rtx
        self.asks_again = "nack" in chosen.format.feedback
        self.ssrc: int | None = None
        self.bytes = 0
        self._before_lost = self._before_received = 0
        self._begin()

    def _begin(self) -> None:
        self.jitter = Jitter(_VIDEO_DEADLINE if self.kind == "video" else _AUDIO_DEADLINE)
        self.missing = Missing()
        self.reception = Reception(RATES[self.codec])
        self.depacketiser: Depacketiser = _DEPACKETISERS[self.codec]()

    @property
    def wants_keyframe(self) -> bool:
        return self.depacketiser.broken

    @property
    def lost(self) -> int:
        return self._before_lost + self.jitter.lost

    @property
    def received(self) -> int:
        return self._before_received + self.jitter.received

    def switches(self, packet: Rtp) -> bool:
        """Whether this packet begins another source; all that is known of the one before is then forgotten."""
        if packet.payload_type != self.payload_type or packet.ssrc == self.ssrc:
            return False
        first, self.ssrc = self.ssrc is None, packet.ssrc
        if not first:
            self._before_lost, self._before_received = self.lost, self.received
            self._begin()
        return not first

    def packet(self, packet: Rtp, now: float) -> list[Frame]:
        """Of this track's payload type, or of its retransmissions'. Returns frames that are whole now."""
        self.bytes += len(packet.payload)
        if packet.payload_type == self.rtx:
            original = rtx.unwrap(packet, self.payload_type, self.ssrc or 0)
            if original is None or self.ssrc is None:
                return []
            packet = original
        else:
            self.reception.packet(packet.sequence, packet.timestamp, now)
        if self.asks_again:
            self.missing.came(self.jitter.index(packet.sequence), now)
        return self._frames(self.jitter.add(packet, now))

    def expire(self, now: float) -> list[Frame]:
        """Frames that are whole now that others are given up."""
        return self._frames(self.jitter.expire(now)) if self.jitter.waits else []

    def due(self, now: float) -> list[int]:
        """Sequence numbers to ask for again now."""
        if not self.missing:
            return []
        self.missing.forget(self.jitter.next)
        return [index & 0xFFFF for index in self.missing.due(now)]

    def _frames(self, packets: Iterable[Indexed]) -> list[Frame]:
        return [frame for indexed in packets for frame in self.depacketiser.push(indexed)]
