"""An `Rtc` on a free port with a reception that records, and stock aiortc peers that publish to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender

from relay.engine import Answer
from relay.ports import Claim, Intake, Publisher, Reason, Refused
from relay.rtc.service import Rtc, RtcSettings
from relay.units import Unit


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Recorded:
    """An intake that keeps what it is given."""

    def __init__(self, claim: Claim, publisher: Publisher):
        self.claim, self.publisher = claim, publisher
        self.units: list[Unit] = []
        self.reasons: list[Reason] = []

    def unit(self, unit: Unit) -> None:
        assert not self.reasons
        self.units.append(unit)

    def left(self, reason: Reason) -> None:
        self.reasons.append(reason)

    def of(self, kind: str) -> list[Unit]:
        return [unit for unit in self.units if unit.kind == kind]


class Door:
    """A reception that lets everybody in but the key `wrong`."""

    def __init__(self) -> None:
        self.intakes: list[Recorded] = []

    async def publish(self, claim: Claim, publisher: Publisher) -> Intake:
        if claim.key == "wrong":
            raise Refused("unauthorized", "Unknown stream key.")
        self.intakes.append(Recorded(claim, publisher))
        return self.intakes[-1]


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def running(settings: RtcSettings | None = None) -> AsyncIterator[tuple[Rtc, Door]]:
    door = Door()
    rtc = Rtc(udp(), settings or RtcSettings(), door)
    try:
        yield rtc, door
    finally:
        await rtc.close()


class Pictures(VideoStreamTrack):
    """Small ones, of which each differs from the one before."""

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([(pts // 3000) & 255]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


@asynccontextmanager
async def publishing(
    rtc: Rtc, codec: str = "video/H264", tracks: tuple[MediaStreamTrack, ...] | None = None, key: str = "key"
) -> AsyncIterator[tuple[RTCPeerConnection, Answer]]:
    peer = RTCPeerConnection()
    try:
        for track in (Pictures(), AudioStreamTrack()) if tracks is None else tracks:
            peer.addTrack(track)
        for transceiver in peer.getTransceivers():
            transceiver.direction = "sendonly"
            if transceiver.kind == "video":
                wanted = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([c for c in wanted if c.mimeType in (codec, "video/rtx")])
        await peer.setLocalDescription(await peer.createOffer())
        answer = await rtc.whip("", "", key, "127.0.0.1", peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        yield peer, answer
    finally:
        await peer.close()
