"""Sessions that never connect, and requests of nobody: bounded, and whoever streams goes on."""

import asyncio
import secrets
import socket
from types import SimpleNamespace

import pytest
from aioice import stun
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

from relay.ports import Bearer, Refused
from relay.rtc import rtcp, sdp
from relay.rtc.answer import Chosen, Source
from relay.rtc.connection import DATAGRAMS_A_SECOND
from relay.rtc.packetise import Frame
from relay.rtc.sdp import Format
from relay.rtc.service import Rtc
from relay.rtc.viewer import Outgoing, Sent, Viewer
from relay.rtc.whip import WhipPublisher
from relay.units import HZ
from tests.relay.rtc.support import Recorded, publishing, running, until


async def goes_on(intake: Recorded) -> None:
    """So many pictures more, and the publisher is still there."""
    seen = len(intake.of("video"))
    await until(lambda: len(intake.of("video")) > seen + 10)
    assert intake.reasons == []


async def offered(rtc: Rtc, offer: str, address: str = "10.0.0.1") -> bool:
    try:
        await rtc.whip("", "", "key", address, offer)
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
        assert sum(taken) == 16, "of one address"
        assert len(rtc.agent) == 17
        await goes_on(intake)
        more = [await offered(rtc, peer.localDescription.sdp, f"10.0.1.{number % 250}") for number in range(300)]
        assert 0 < sum(more) <= 100 - 16
        await goes_on(intake)
        await until(lambda: len(rtc.agent) == 1)
        taken += more
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


async def test_one_viewer_has_few_of_the_places() -> None:
    """And none of publishers'."""
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        for _ in range(4):
            await rtc.whep("room", Bearer("bob"), "10.0.0.1", peer.localDescription.sdp)
        with pytest.raises(Refused, match="Too many"):
            await rtc.whep("room", Bearer("bob"), "10.0.0.1", peer.localDescription.sdp)
        await rtc.whep("room", Bearer("cat"), "10.0.0.1", peer.localDescription.sdp)
        async with publishing(rtc):
            await until(lambda: len(door.intakes) == 2 and door.intakes[1].of("video"))
    await peer.close()


@pytest.mark.parametrize(
    "line",
    ["m=video 9 UDP/TLS/RTP/SAVPF" + " 96" * 10_000, "a=rtcp-fb:96 nack\r\n" * 3_000],
    ids=["payload types", "feedback"],
)
def test_what_repeats_in_an_offer_is_refused(line: str) -> None:
    offer = (
        f"v=0\r\na=setup:actpass\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n{line}"
    )
    offer += "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=rtcp-mux\r\n"
    offer += f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
    with pytest.raises(ValueError, match="SDP: more than"):
        sdp.parse(offer)


async def test_a_datagram_of_one_byte_is_nobodys() -> None:
    async with running() as (rtc, door), publishing(rtc):
        intake = door.intakes[0]
        await until(lambda: intake.of("video"))
        (address,) = list(rtc.agent._by_address)[:1]
        rtc._datagram(b"\x80", address)
        await goes_on(intake)


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (b"\x80\x60" + bytes(1_200), DATAGRAMS_A_SECOND),
        (b"\x81\xcd" + bytes(1_400), 57),
        (b"\x81\xc9" + bytes(40), 1_667),
        (b"\x16\xfe" + bytes(40), 100),
    ],
    ids=["SRTP", "NACK of all", "report", "DTLS"],
)
async def test_datagrams_of_a_session_are_so_many_a_second(data: bytes, most: int) -> None:
    async with running() as (rtc, door), publishing(rtc):
        intake = door.intakes[0]
        await until(lambda: intake.of("video"))
        (connection,) = rtc._connections.values()
        address = next(iter(rtc.agent._by_address))
        begun = rtc._loop.time()
        for _ in range(4 * DATAGRAMS_A_SECOND):
            rtc._datagram(data, address)
        seconds = int(rtc._loop.time()) - int(begun) + 1
        taken = 4 * DATAGRAMS_A_SECOND - rtc.dropped
        assert 0 < taken <= seconds * most
        wire = connection.secured._wire
        assert taken == connection.secured.refused + wire._waiting.qsize() + wire.dropped
        await goes_on(intake)


async def test_one_that_fails_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        first = door.intakes[0].publisher
        assert isinstance(first, WhipPublisher)

        def broken(now: float) -> None:
            raise ValueError("broken")

        monkeypatch.setattr(first, "tick", broken)
        await until(lambda: door.intakes[0].reasons)
        async with publishing(rtc):
            await until(lambda: len(door.intakes) == 2)
            await goes_on(door.intakes[1])


def test_a_viewer_that_asks_for_keyframes_all_the_time_gets_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As each of them is sent to all."""
    now = 1_000.0
    monkeypatch.setattr("relay.rtc.viewer.time", SimpleNamespace(monotonic=lambda: now))
    asked: list[float] = []
    viewer = Viewer(Bearer("bob"), {}, lambda _: None, lambda: asked.append(now), lambda _: None)
    for _ in range(100 * 60):
        viewer.rtcp(rtcp.receiver_report(1) + rtcp.pli(1, 2))
        now += 0.01
    assert len([at for at in asked if at < 1_001]) == 4
    assert 4 + 13 < len(asked) <= 4 + 15


def test_packets_that_are_not_kept_cost_what_is_asked_for() -> None:
    """However many numbers a NACK has, and whatever they are."""
    track = Outgoing(Chosen(Format(96, "h264/90000", {}, ("nack",)), "h264", 97, {}), Source(1, 2, "g"), HZ)
    for number in range(2_000):
        track._keep(Sent(number & 0xFFFF, 0, Frame("video", False, 0, (b"a",), 1), None))
    track.sequence = 2_000
    found = [track.again(sequence, lambda packet: packet) is not None for sequence in range(2_100)]
    assert [sequence for sequence, kept in enumerate(found) if kept] == list(range(2_000 - 1_024, 2_000))
