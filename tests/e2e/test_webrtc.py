"""WHIP and WHEP through gateway and media process, with aiortc on both sides; and an encoder watched by WHEP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender

from tests.relay.rtc.support import Pictures, Watcher, until
from tests.support.live import PATIENCE, Creator, LiveServer, creator, encoder
from tests.support.server import token

OFFER = {"Content-Type": "application/sdp"}


def h264(peer: RTCPeerConnection) -> None:
    for transceiver in peer.getTransceivers():
        if transceiver.kind == "video":
            wanted = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([c for c in wanted if c.mimeType in ("video/H264", "video/rtx")])


async def offered(peer: RTCPeerConnection, client: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    """The answer; asked again where a server that has just started knows no media process yet."""
    await peer.setLocalDescription(await peer.createOffer())
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.post(path, content=peer.localDescription.sdp, headers=OFFER | headers)
            if "No media process" not in answer.text:
                break
            await asyncio.sleep(0.1)
    if answer.status_code == 201:
        await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    return answer


@asynccontextmanager
async def publishing(
    ana: Creator, video: MediaStreamTrack | None = None, audio: MediaStreamTrack | None = None
) -> AsyncIterator[httpx.Response]:
    """By WHIP, with the stream key."""
    key = (await ana.command(type="live.key", room=ana.room))["key"]
    peer = RTCPeerConnection()
    try:
        peer.addTrack(video or Pictures())
        peer.addTrack(audio or AudioStreamTrack())
        for transceiver in peer.getTransceivers():
            transceiver.direction = "sendonly"
        h264(peer)
        yield await offered(peer, ana.client, f"/v1/rooms/{ana.room}/whip", Authorization=f"Bearer {key}")
    finally:
        await peer.close()


@asynccontextmanager
async def watching(ana: Creator, user: str) -> AsyncIterator[tuple[Watcher, httpx.Response]]:
    watcher = Watcher()
    try:
        watcher.peer.addTransceiver("audio", direction="recvonly")
        watcher.peer.addTransceiver("video", direction="recvonly")
        h264(watcher.peer)
        yield (
            watcher,
            await offered(
                watcher.peer, ana.client, f"/v1/rooms/{ana.room}/whep", Authorization=f"Bearer {token(user, name=user)}"
            ),
        )
    finally:
        await watcher.close()


async def test_a_browser_streams_and_browsers_watch(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, publishing(ana) as published:
            assert published.status_code == 201, published.text
            await ana.until("live.started")
            viewer = await ana.shown()  # the same stream by fMP4
            await viewer.close()
            async with watching(ana, "bob") as (bob, first), watching(ana, "cid") as (cid, second):
                assert (first.status_code, second.status_code) == (201, 201), first.text
                await until(lambda: min(*bob.frames.values(), *cid.frames.values()) > 30)
                gone = await ana.client.delete(first.headers["Location"])
                assert gone.status_code == 200
                await until(lambda: bob.peer.connectionState in ("closed", "failed"))
                await ana.command(type="member.ban", room=ana.room, user="cid")
                await until(lambda: cid.peer.connectionState in ("closed", "failed"))
            async with watching(ana, "cid") as (_, refused):
                assert refused.status_code in (403, 404)
            assert (await ana.client.delete(published.headers["Location"])).status_code == 200
            await ana.until("live.started", "live.interrupted")


@pytest.mark.parametrize("b_frames", [False, True])
async def test_an_encoder_is_watched_by_webrtc_where_it_has_no_b_frames(tmp_path: Path, b_frames: bool) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address(), b_frames=2 if b_frames else 0):
                await ana.until("live.started")
                viewer = await ana.shown()
                await viewer.close()
                async with watching(ana, "bob") as (bob, answer):
                    if b_frames:
                        assert answer.status_code == 503
                        assert "B-frames" in answer.text
                    else:
                        assert answer.status_code == 201, answer.text
                        await until(lambda: min(bob.frames.values()) > 30)
