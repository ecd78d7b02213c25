"""RTP packets of a frame, made and protected (SRTP, RFC 3711) where they lie: one buffer, from which they are sent.

Used of pylibsrtp's inside (1.0, pinned): `Session._srtp` and its binding, held by tests/relay/rtc/test_protect.py. Its
own `protect` copies each packet in and out; without that, and what is done around it, a viewer costs a quarter less.
"""

from collections.abc import Sequence
from typing import Any, Final

import pylibsrtp
from msgspec import Struct
from pylibsrtp import _binding

from relay.rtc.rtp import HEADER

MOST_PACKETS, MOST_BYTES = 64, 65_000
"""Of a run: what the kernel cuts in one call (UDP_MAX_SEGMENTS, and a datagram's 64 KiB)."""
_TAGS: Final = {b"SRTP_AES128_CM_SHA1_80": 10, b"SRTP_AEAD_AES_128_GCM": 16, b"SRTP_AEAD_AES_256_GCM": 16}
"""Bytes that protection adds to a packet (RFC 5764, section 4.1.2; RFC 7714, section 12)."""


class Packet(Struct, frozen=True, gc=False):
    """Where in the buffer a packet begins, its length before it is protected, and the same place for the library."""

    offset: int
    length: int
    at: Any
    marker: int


class Run(Struct, frozen=True):
    """Packets of one size, of which the last may be shorter. `template`: all bytes, with room for headers and tags.
    `size`: of a packet, protected.
    """

    template: bytes
    size: int
    packets: tuple[Packet, ...]

    def cut(self, protected: memoryview) -> list[bytes]:
        """The packets of what it has become."""
        return [bytes(protected[at : at + self.size]) for at in range(0, len(protected), self.size)]


class Outbound:
    """One session's keys for what we send. `tag`: the bytes that protection adds to a packet.

    A packet goes through it once: another one under a used sequence number would use a nonce twice.
    """

    def __init__(self, session: pylibsrtp.Session, profile: bytes):
        """`profile`: its name as DTLS agreed on it."""
        self.session, self.tag = session, _TAGS[profile]
        self.protect, self.protect_rtcp = session.protect, session.protect_rtcp
        self.inner: Any = session._srtp[0]


class Protector:
    """The buffer, one for all sessions: what is in it is to be sent before the next run is protected."""

    def __init__(self) -> None:
        self._buffer = bytearray(MOST_BYTES)
        self._at: Any = _binding.ffi.from_buffer("char[]", self._buffer)
        self._length: Any = _binding.ffi.new("int *")
        self._protect: Any = _binding.lib.srtp_protect
        self._view = memoryview(self._buffer)

    def runs(self, payloads: Sequence[bytes], tag: int, *, marker: bool) -> tuple[Run, ...]:
        """Of a frame's payloads, whose last packet bears the marker. For this buffer, and sessions with such a tag."""
        made: list[Run] = []
        at, around = 0, HEADER.size + tag
        while at < len(payloads):
            size = len(payloads[at]) + around
            most = min(len(payloads), at + min(MOST_PACKETS, MOST_BYTES // size))
            end = at + 1
            while end < most and len(payloads[end]) + around == size:
                end += 1
            if end < most and len(payloads[end]) + around < size:
                end += 1
            made.append(self._run(payloads[at:end], size, tag, marker=marker and end == len(payloads)))
            at = end
        return tuple(made)

    def _run(self, payloads: Sequence[bytes], size: int, tag: int, *, marker: bool) -> Run:
        template = b"".join(part for payload in payloads for part in (bytes(HEADER.size), payload, bytes(tag)))
        last = len(payloads) - 1
        packets = tuple(
            Packet(
                index * size,
                HEADER.size + len(payload),
                self._at + index * size,
                0x80 if marker and index == last else 0,
            )
            for index, payload in enumerate(payloads)
        )
        return Run(template, size, packets)

    def protect(
        self, outbound: Outbound, run: Run, payload_type: int, sequence: int, timestamp: int, ssrc: int
    ) -> memoryview:
        """The run's packets, from this sequence number on. Valid until the next call. Raises pylibsrtp.Error."""
        buffer, inner, length, protect, pack = (
            self._buffer,
            outbound.inner,
            self._length,
            self._protect,
            HEADER.pack_into,
        )
        end = len(run.template)
        buffer[:end] = run.template
        for packet in run.packets:
            pack(buffer, packet.offset, 0x80, payload_type | packet.marker, sequence & 0xFFFF, timestamp, ssrc)
            length[0] = packet.length
            if status := protect(inner, packet.at, length):
                raise pylibsrtp.Error(f"srtp_protect: {status}")
            sequence += 1
        return self._view[:end]
