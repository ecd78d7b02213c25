"""How long a packet takes to a sender and back, as a receiver finds out (RFC 3611, sections 4.4 and 4.5)."""

import struct

from relay.rtc.rtcp import ntp

_XR = 207
_REFERENCE_TIME, _DELAY = 4, 5
_HEADER = struct.Struct("!BBH")
_DELAYS = struct.Struct("!III")
_MOST = 10.0
_ROUNDED = 0.001
"""Seconds. What would be longer, or less than nothing but by rounding, is no answer to one of ours."""


def reference_time(ssrc: int, now: float) -> bytes:
    """What a sender that knows of it answers. `now`: seconds of any clock, the same in `round_trip`."""
    return _HEADER.pack(0x80, _XR, 4) + struct.pack("!IBBHQ", ssrc, _REFERENCE_TIME, 0, 2, ntp(now))


def round_trip(data: bytes, ssrc: int, now: float) -> float | None:
    """Seconds, by the answer for `ssrc` in a compound packet; None where there is none."""
    at = 0
    while at + _HEADER.size <= len(data):
        _, kind, words = _HEADER.unpack_from(data, at)
        end = min(at + 4 + 4 * words, len(data))
        if kind == _XR:
            block = at + 8  # after the header and who sends it
            while block + _HEADER.size <= end:
                name, _, size = _HEADER.unpack_from(data, block)
                if name == _DELAY:
                    for one in range(block + 4, min(block + 4 + 4 * size, end) - _DELAYS.size + 1, _DELAYS.size):
                        source, last, delay = _DELAYS.unpack_from(data, one)
                        trip: float = (((ntp(now) >> 16) - last - delay + (1 << 31) & 0xFFFFFFFF) - (1 << 31)) / 65_536
                        if source == ssrc and last and -_ROUNDED < trip < _MOST:
                            return max(0.0, trip)
                block += 4 + 4 * size
        at = end
    return None
