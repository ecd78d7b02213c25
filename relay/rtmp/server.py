"""The RTMP ingest server: `rtmp://HOST:PORT/live/KEY`."""

import asyncio
import os
import ssl
from collections import Counter
from ipaddress import IPv6Address, IPv6Network, ip_address
from socket import socket

import structlog

from relay.ports import Reception
from relay.rtmp.ingest import READ, Ended, Ingest, RtmpSettings
from relay.rtmp.link import NONCE

log = structlog.get_logger("relay.rtmp")


class RtmpServer:
    """Takes encoders on sockets that listen already. With a TLS context it is RTMPS.

    A flood of connections that do not publish costs the oldest of them, and its addresses, their places; encoders that
    publish lose nothing.
    """

    def __init__(self, settings: RtmpSettings, reception: Reception, tls: ssl.SSLContext | None = None):
        self.ended: Counter[str] = Counter()
        """Connections that have ended, by Reason; `flood` for those that had no place."""
        self._settings, self._reception, self._tls = settings, reception, tls
        self._running: dict[Ingest, asyncio.Task[None]] = {}
        self._half_open: dict[Ingest, str] = {}
        self._of_address: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []

    @property
    def connections(self) -> int:
        return len(self._running)

    @property
    def half_open(self) -> int:
        """Connections that do not publish yet."""
        return len(self._half_open)

    async def listen(self, sock: socket) -> None:
        self._servers.append(await asyncio.start_server(self._accept, sock=sock, limit=READ))

    async def close(self) -> None:
        """Takes nobody any more, and ends all connections with `leaving`."""
        for server in self._servers:
            server.close()
        for ingest in self._running:
            ingest.leave()
        await asyncio.gather(*self._running.values())

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""  # gone already, where there is none
        place = _place(address)
        if self._of_address[place] >= self._settings.half_open_per_address:
            self.ended["flood"] += 1
            writer.transport.abort()
            return
        ingest = Ingest(
            reader, writer, address, os.urandom(NONCE), self._settings, self._reception, lambda: self._settle(ingest)
        )
        self._half_open[ingest] = place
        self._of_address[place] += 1
        self._running[ingest] = asyncio.create_task(self._serve(ingest), name="rtmp ingest")
        if len(self._half_open) > self._settings.half_open:
            oldest = next(iter(self._half_open))
            self._settle(oldest)
            self.ended["flood"] += 1
            oldest.abort()

    async def _serve(self, ingest: Ingest) -> None:
        ended = Ended("failed", "an error of ours")
        try:
            ended = await ingest.run(self._tls)
        except Exception:
            log.exception("an RTMP connection has failed")
        finally:
            self._settle(ingest)
            del self._running[ingest]
            self.ended[ended.reason] += 1
            log.info("RTMP connection ended", reason=ended.reason, detail=ended.detail)

    def _settle(self, ingest: Ingest) -> None:
        """It takes no place of those that do not publish any more."""
        place = self._half_open.pop(ingest, None)
        if place is not None:
            self._of_address[place] -= 1
            if not self._of_address[place]:
                del self._of_address[place]


def _place(address: str) -> str:
    """What is limited: an IPv4 address, of IPv6 the /64 that one customer is given (RFC 6177)."""
    parsed = ip_address(address.partition("%")[0]) if address else None
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return address
