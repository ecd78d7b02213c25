"""DTLS and SRTP keys: the seam to aiortc (1.16, pinned), held by tests/relay/rtc/test_dtls.py.

`Secured` is aiortc's transport over `Wire`, with packets taken off before they reach its peer connection's parts. Used
of its inside: `_set_role`, `_rx_srtp`, `_tx_srtp`, `_ssl`, `_recv_next`, `_handle_rtp_data`, `_handle_rtcp_data`,
`_task`, `_srtp_profiles`.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import pylibsrtp
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from OpenSSL import SSL

from relay.rtc.protect import Outbound

_MOST_WAITING = 64
"""Datagrams between two turns of the handshake; more are dropped, and sent again by the peer."""

_MOST_SOURCES = 64
"""SSRCs of a peer in all; packets of others are refused. libsrtp keeps each for as long as the session, and looks
through them with every packet.
"""

_RECORD = 16_384

# The cheapest first: we are the server, whose order counts.
_PROFILES = sorted(SRTP_PROFILES, key=lambda profile: profile is not SRTP_AEAD_AES_128_GCM)


def is_srtp(data: bytes) -> bool:
    """Of what comes to a session's address, SRTP or SRTCP, and not DTLS (RFC 7983)."""
    return data[0] >= 128


def is_rtcp(data: bytes) -> bool:
    """Of those, SRTCP (RFC 5761, section 4)."""
    return 192 <= data[1] <= 208


class Listener(Protocol):
    """What decrypted packets are given to. Called from the event loop; must not raise."""

    def rtp(self, data: bytes) -> None: ...

    def rtcp(self, data: bytes) -> None: ...


class Certificate:
    """A self-signed certificate with its key, of this process alone."""

    def __init__(self) -> None:
        self.aiortc = RTCCertificate.generateCertificate()
        self.fingerprint = next(f.value for f in self.aiortc.getFingerprints() if f.algorithm == "sha-256")


class Wire:
    """What aiortc's transport takes for its ICE transport: datagrams come by `feed`, and go to `send`."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send_now: Callable[[bytes], object] | None = send
        """None once it is closed."""
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        if self._waiting.full():
            self.dropped += 1
        else:
            self._waiting.put_nowait(data)

    def close(self) -> None:
        """Ends whoever reads."""
        self._send_now = None
        if not self._waiting.full():
            self._waiting.put_nowait(None)

    async def _recv(self) -> bytes:
        if self._send_now is None:
            raise ConnectionError
        data = await self._waiting.get()
        if data is None:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        if self._send_now is None:
            raise ConnectionError
        self._send_now(data)


class Secured(RTCDtlsTransport):
    """One session's DTLS, then SRTP in both directions."""

    def __init__(self, certificate: Certificate, wire: Wire, role: Literal["server", "client"], listener: Listener):
        super().__init__(wire, [certificate.aiortc])  # type: ignore[arg-type]
        self._srtp_profiles = _PROFILES
        self._set_role(role)
        self._wire, self._listener = wire, listener
        self.outbound: Outbound | None = None
        """None before the handshake is done."""
        self.refused = 0
        """Packets that were not authentic, came twice, or were of more sources than a peer has."""
        self._sources: set[bytes] = set()

    async def handshake(self, fingerprints: Iterable[tuple[str, str]]) -> bool:
        """Returns whether the peer is the one whose certificate has these fingerprints. Waits for ever: who calls has a
        deadline.
        """
        await self.start(RTCDtlsParameters([RTCDtlsFingerprint(*fingerprint) for fingerprint in fingerprints]))
        if self.state != "connected" or self._tx_srtp is None or self._ssl is None:
            return False
        self.outbound = Outbound(self._tx_srtp, self._ssl.get_selected_srtp_profile())
        return True

    async def over(self) -> None:
        """Returns when the peer has closed, or `stop` or the wire's end has."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Tells the peer, and frees what OpenSSL and libsrtp hold, whoever still holds this object: 85 KB, of which
        Python sees little.
        """
        await super().stop()
        self._ssl = self._rx_srtp = self._tx_srtp = self.outbound = None  # type: ignore[assignment]

    def datagram(self, data: bytes) -> None:
        """One of the peer's. Packets are handed on at once, what is DTLS in turn."""
        if not is_srtp(data) or self._rx_srtp is None:
            self._wire.feed(data)
            return
        control = is_rtcp(data)
        source = data[4:8] if control else data[8:12]
        if source not in self._sources and len(self._sources) >= _MOST_SOURCES:
            self.refused += 1
            return
        try:
            plain = self._rx_srtp.unprotect_rtcp(data) if control else self._rx_srtp.unprotect(data)
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return
        self._sources.add(source)
        if control:
            self._listener.rtcp(plain)
        else:
            self._listener.rtp(plain)

    async def _recv_next(self) -> None:
        """All of a datagram: aiortc reads one record of it, and what is behind that would stay in OpenSSL's buffer,
        which has no bound. There are no data channels: what is read is for nobody.
        """
        await super()._recv_next()
        try:
            while self.encrypted and self._ssl is not None:
                self._ssl.recv(_RECORD)
        except SSL.ZeroReturnError:
            raise ConnectionError from None
        except SSL.Error:
            return  # there is no more, or what there is is broken

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self._listener.rtp(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self._listener.rtcp(data)
