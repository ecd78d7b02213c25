"""Clients that come from another address in mid-stream, and others that repeat what they have sent."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.rtc.service import Rtc, RtcSettings
from relay.rtc.stun import Address
from tests.relay.rtc.support import Door, publishing, running, udp, until, watching
from tests.support.impaired import Impaired


@asynccontextmanager
async def behind_a_nat() -> AsyncIterator[tuple[Rtc, Door, Impaired]]:
    async with running(RtcSettings(public_addresses=("127.0.0.2",))) as (rtc, door):
        port = rtc.port.number
        async with Impaired(("127.0.0.2", port), ("127.0.0.1", port)) as nat:
            yield rtc, door, nat


async def test_viewers_and_publishers_go_on_from_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc nominates once: that it goes on from elsewhere is known by its consent checks."""
    monkeypatch.setattr("relay.rtc.ice._ALIVE", 0.1)
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.5)
    async with behind_a_nat() as (rtc, door, nat), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"] > 10)
            before = {one.party.address for one in rtc._connections.values()}
            await nat.rebind()
            await until(lambda: not before & {one.party.address for one in rtc._connections.values()})
            seen, came = watcher.frames["video"], len(door.intakes[0].units)
            await until(lambda: watcher.frames["video"] > seen + 30 and len(door.intakes[0].units) > came + 30)
            assert rtc.viewers.watching() == {"room": ["bob"]}
            assert door.intakes[0].reasons == []


async def test_a_request_that_is_repeated_from_elsewhere_brings_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    nominations: list[bytes] = []
    receive = Rtc._datagram

    def overheard(self: Rtc, data: bytes, address: Address) -> None:
        if data[:2] == b"\0\1" and b"\0\x25\0\0" in data:  # USE-CANDIDATE
            nominations.append(data)
        receive(self, data, address)

    monkeypatch.setattr(Rtc, "_datagram", overheard)
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        nominations.clear()
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"] > 10)
            with udp() as elsewhere:
                elsewhere.setblocking(False)
                elsewhere.sendto(nominations[0], ("127.0.0.1", rtc.port.number))
                came = [await asyncio.wait_for(loop_recv(elsewhere), 10) for _ in range(2)]
                seen = watcher.frames["video"]
                await until(lambda: watcher.frames["video"] > seen + 30)
                assert {data[:2] for data in came} == {b"\1\1", b"\0\1"}, "an answer, and a check"
                with pytest.raises(BlockingIOError):
                    elsewhere.recv(2_048)


async def loop_recv(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 2_048)
