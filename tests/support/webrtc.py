"""aiortc peers that publish to and watch a whole server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender

from tests.relay.rtc.support import Pictures, Watcher
from tests.support.live import PATIENCE, Creator
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
