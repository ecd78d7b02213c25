"""RTP packets (RFC 3550, section 5.1), and numbers that wrap."""

from struct import Struct as Layout

from msgspec import Struct

HEADER = Layout("!BBHII")
SEQUENCE_BITS, TIMESTAMP_BITS = 16, 32


class Rtp(Struct, gc=False):
    """A packet. Header extensions, contributing sources and padding are taken off."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes) -> Rtp:
    """Raises ValueError."""
    if len(data) < HEADER.size:
        raise ValueError("RTP: shorter than its header")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise ValueError(f"RTP: version {first >> 6}")
    start, end = HEADER.size + 4 * (first & 15), len(data)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if first & 0x20:
        padding = data[-1]
        if not padding:
            raise ValueError("RTP: padding of no bytes")
        end -= padding
    if start > end:
        raise ValueError("RTP: ends in its header")
    return Rtp(second & 127, second > 127, sequence, timestamp, ssrc, data[start:end])


class Extender:
    """Numbers of `bits` bits that wrap, as numbers that do not: each is taken as near as can be to the last one."""

    def __init__(self, bits: int) -> None:
        self._half, self._mask = 1 << bits - 1, (1 << bits) - 1
        self._last: int | None = None

    def peek(self, number: int) -> int:
        """As `extend`, and the next one is still taken near to the last before it."""
        if self._last is None:
            return number
        return self._last + ((number - self._last + self._half) & self._mask) - self._half

    def extend(self, number: int) -> int:
        """The first is itself; one that comes from before it may be negative."""
        self._last = self.peek(number)
        return self._last

    def start(self, extended: int) -> None:
        """The next one is taken near to this."""
        self._last = extended
