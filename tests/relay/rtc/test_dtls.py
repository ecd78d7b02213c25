"""The seam to aiortc's DTLS: two ends of it over wires, and nothing else."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.rtc import rtcp
from relay.rtc.dtls import Certificate, Secured, Wire
from relay.rtc.rtp import HEADER


class Heard:
    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def rtp(self, data: bytes) -> None:
        self.packets.append(data)

    def rtcp(self, data: bytes) -> None:
        self.packets.append(data)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


def wired(certificate: Certificate, heard: Heard) -> tuple[Secured, Secured]:
    """A server's and a client's end; `heard`: what the client hears."""
    ends: list[Secured] = []

    def to(peer: int) -> Wire:
        def send(data: bytes) -> None:
            ends[peer].datagram(data)

        return Wire(send)

    ends += [Secured(certificate, to(1), "server", Heard()), Secured(certificate, to(0), "client", heard)]
    return ends[0], ends[1]


@asynccontextmanager
async def joined(certificate: Certificate) -> AsyncIterator[tuple[Secured, Secured, Heard]]:
    """Both after the handshake, and what the client hears."""
    heard = Heard()
    server, client = wired(certificate, heard)
    fingerprints = [("sha-256", certificate.fingerprint)]
    try:
        async with asyncio.timeout(30):
            assert all(await asyncio.gather(server.handshake(fingerprints), client.handshake(fingerprints)))
        yield server, client, heard
    finally:
        await asyncio.gather(server.stop(), client.stop())


async def test_what_one_end_protects_the_other_hears(certificate: Certificate) -> None:
    async with joined(certificate) as (server, client, heard):
        assert server.outbound is not None
        packet = HEADER.pack(0x80, 96, 1, 3_000, 7) + b"payload"
        client.datagram(server.outbound.protect(packet))
        client.datagram(b"\x80\x60" + bytes(40))
        assert (heard.packets, client.refused) == ([packet], 1)


async def test_a_peer_has_so_many_sources_and_no_more(certificate: Certificate) -> None:
    """Each is kept by libsrtp until the session ends. Those that are known go on."""
    async with joined(certificate) as (server, client, heard):
        assert server.outbound is not None
        for sequence in (1, 2):
            for ssrc in range(1_000):
                packet = HEADER.pack(0x80, 96, sequence, 3_000, ssrc) + b"payload"
                client.datagram(server.outbound.protect(packet))
        client.datagram(server.outbound.protect_rtcp(rtcp.receiver_report(5_000)))
        assert (len(heard.packets), client.refused) == (2 * 64, 2 * (1_000 - 64) + 1)


async def test_all_records_of_a_datagram_are_read(certificate: Certificate) -> None:
    """Those that are left would be kept as long as the session lasts; the last one here ends it."""
    async with joined(certificate) as (server, client, _):
        records: list[bytes] = []
        client._wire._send_now = records.append
        for _ in range(40):
            await client._send_data(b"data")
        await client.stop()
        server.datagram(b"".join(records))
        async with asyncio.timeout(10):
            await server.over()
        assert server.state == "closed"


async def test_another_certificate_is_not_taken(certificate: Certificate) -> None:
    server, client = wired(certificate, Heard())
    async with asyncio.timeout(30):
        served = asyncio.create_task(server.handshake([("sha-256", certificate.fingerprint)]))
        assert not await client.handshake([("sha-256", Certificate().fingerprint)])
        await client.stop()
        await served
        await server.stop()


async def test_what_the_libraries_hold_goes_with_the_session_and_waits_for_no_collection(
    certificate: Certificate,
) -> None:
    gc.disable()
    try:
        async with joined(certificate) as (server, client, _):
            held = [weakref.ref(one) for end in (server, client) for one in (end._rx_srtp, end._tx_srtp, end._ssl)]
        assert [one() for one in held] == [None] * 6
    finally:
        gc.enable()
    assert server.outbound is None
    server.datagram(b"\x80\x60" + bytes(40))  # what still comes is for nobody
