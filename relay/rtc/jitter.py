"""Packets of one source in the order they were sent."""

from relay.rtc.rtp import SEQUENCE_BITS, Extender, Rtp

Indexed = tuple[int, Rtp]
"""A packet and its extended sequence number. Where that is not one more than the last one's, packets are lost."""


class Jitter:
    """Holds what came too early until what is missing comes, or for `deadline` seconds. It reaches over `capacity`
    sequence numbers: where more come after a missing one, that one is given up at once.
    """

    def __init__(self, deadline: float, capacity: int = 1_024) -> None:
        self._deadline, self._capacity = deadline, capacity
        self._extender = Extender(SEQUENCE_BITS)
        self._next: int | None = None
        self._held: dict[int, tuple[Rtp, float]] = {}
        self._restart_at = -1
        self.received = self.lost = self.late = 0
        """Packets taken, packets given up, and packets refused: that came twice, or after they were given up."""

    @property
    def waits(self) -> bool:
        return bool(self._held)

    @property
    def next(self) -> int:
        """The extended sequence number that is waited for; 0 before the first packet."""
        return self._next or 0

    def index(self, sequence: int) -> int:
        """The extended sequence number of a packet that has just come."""
        return self._extender.peek(sequence)

    def add(self, packet: Rtp, now: float) -> list[Indexed]:
        """Returns what can be given on now. A sender whose numbers jump is believed with its second packet in order
        (RFC 3550, appendix A.1).
        """
        index = self._extender.peek(packet.sequence)
        given: list[Indexed] = []
        if self._next is None:
            self._next = index
        elif abs(index - self._next) > self._capacity:
            if packet.sequence != self._restart_at:
                self._restart_at = packet.sequence + 1 & 0xFFFF
                self.late += 1
                return given
            while self._held:
                self._skip(given)
            # Above all numbers so far, so that what follows is seen to come after a gap.
            self._next = index = index + (1 << SEQUENCE_BITS) if index < self._next else index
        if index < self._next or index in self._held:
            self.late += 1
            return given
        self._extender.start(max(index, self._next))
        self._held[index] = packet, now
        self.received += 1
        self._give(given)
        while self._held and index - self._next >= self._capacity:
            self._skip(given)
        return given

    def expire(self, now: float) -> list[Indexed]:
        """Returns what can be given on now that gaps of `deadline` seconds ago are taken for lost."""
        given: list[Indexed] = []
        while self._held and now - self._held[min(self._held)][1] >= self._deadline:
            self._skip(given)
        return given

    def _skip(self, given: list[Indexed]) -> None:
        first = min(self._held)
        self.lost += first - self.next
        self._next = first
        self._give(given)

    def _give(self, given: list[Indexed]) -> None:
        index = self.next
        while held := self._held.pop(index, None):
            given.append((index, held[0]))
            index += 1
        self._next = index
