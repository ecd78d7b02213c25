"""Sessions that never connect, and requests of nobody: bounded, and whoever streams goes on."""

import asyncio
import secrets
import socket

import pytest
from aioice import stun
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

from relay.ports import Refused
from relay.rtc.service import Rtc
from tests.relay.rtc.support import Recorded, publishing, running, until


async def goes_on(intake: Recorded) -> None:
    """So many pictures more, and the publisher is still there."""
    seen = len(intake.of("video"))
    await until(lambda: len(intake.of("video")) > seen + 10)
    assert intake.reasons == []


async def offered(rtc: Rtc, offer: str) -> bool:
    try:
        await rtc.whip("", "", "key", "10.0.0.1", offer)
    except Refused as refused:
        assert refused.code == "too_many"
        return False
    return True


async def test_sessions_that_never_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.rtc.connection.CONNECT_SECONDS", 1.0)
    peer = RTCPeerConnection()
    peer.addTrack(AudioStreamTrack())
    await peer.setLocalDescription(await peer.createOffer())
    async with running() as (rtc, door), publishing(rtc):
        intake = door.intakes[0]
        await until(lambda: intake.of("video"))
        taken = [await offered(rtc, peer.localDescription.sdp) for _ in range(300)]
        assert 100 <= sum(taken) <= 200
        assert len(rtc.agent) <= 201
        await goes_on(intake)
        await until(lambda: len(rtc.agent) == 1)
        assert [one.reasons for one in door.intakes[1:]] == [["failed"]] * sum(taken)
    await peer.close()


async def test_requests_of_nobody() -> None:
    async with running() as (rtc, door), publishing(rtc):
        intake = door.intakes[0]
        await until(lambda: intake.of("video"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(50):
                for _ in range(200):
                    request = stun.Message(
                        stun.Method.BINDING, stun.Class.REQUEST, attributes={"USERNAME": f"{secrets.token_hex(8)}:x"}
                    )
                    sock.sendto(bytes(request), ("127.0.0.1", rtc.port.number))
                await asyncio.sleep(0)
            await until(lambda: rtc.agent.dropped > 1_000)
            await goes_on(intake)
            assert len(rtc.agent) == 1
            assert rtc.agent.refused < rtc.agent.dropped
