"""An `Rtc` on a free port with a reception that records, and stock aiortc peers that publish to it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fractions import Fraction

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender

from relay.engine import Answer
from relay.ports import Admitted, Bearer, Claim, Intake, Publisher, Reason, Refused
from relay.rights import Rights
from relay.rtc.service import Rtc, RtcSettings
from relay.stream import Caps, Stream
from relay.units import Unit

BOB = Bearer("bob")


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Recorded:
    """An intake that keeps what it is given, and passes it on to a stream."""

    def __init__(self, claim: Claim, publisher: Publisher):
        self.claim, self.publisher = claim, publisher
        self.units: list[Unit] = []
        self.reasons: list[Reason] = []
        admitted = Admitted("room", "ana", "session", 1, "Title")
        self.stream = Stream(admitted, Caps(max_kbit=100_000, max_pixels=10_000_000))
        self._publishing = self.stream.attach(admitted, publisher, time.monotonic())

    def unit(self, unit: Unit) -> None:
        assert not self.reasons
        self.units.append(unit)
        self.stream.unit(self._publishing, unit, time.monotonic())

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

    def stream_of(self, room: str) -> Stream | None:
        return self.intakes[-1].stream if self.intakes and room == "room" else None


class Everybody:
    """A gateway that lets everybody watch but those who were banned; `away`: none answers."""

    def __init__(self) -> None:
        self.banned: set[str] = set()
        self.away = False
        self.asked = 0

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        self.asked += 1
        if self.away:
            raise Refused("unavailable", "no gateway")
        return user not in self.banned


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def running(settings: RtcSettings | None = None, rights: Rights | None = None) -> AsyncIterator[tuple[Rtc, Door]]:
    door = Door()
    rtc = Rtc(udp(), settings or RtcSettings(), door, door.stream_of, rights or Rights(Everybody(), lambda: 0))
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


class Watcher:
    """A stock aiortc peer that watches by WHEP, and counts what it decodes."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.frames = {"video": 0, "audio": 0}
        self.pts: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

        def shown(track: MediaStreamTrack) -> None:
            self._tasks.append(asyncio.create_task(self._show(track)))

        self.peer.on("track", shown)

    async def _show(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):  # it has ended
            while True:
                frame = await track.recv()
                self.frames[track.kind] += 1
                if track.kind == "video" and isinstance(frame, av.VideoFrame) and frame.pts is not None:
                    self.pts.append(frame.pts)

    async def watch(self, rtc: Rtc, bearer: Bearer, codec: str = "video/H264") -> Answer:
        self.peer.addTransceiver("audio", direction="recvonly")
        video = self.peer.addTransceiver("video", direction="recvonly")
        wanted = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([c for c in wanted if c.mimeType in (codec, "video/rtx")])
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await rtc.whep("room", bearer, "127.0.0.1", self.peer.localDescription.sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer

    async def close(self) -> None:
        await self.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def watching(rtc: Rtc, bearer: Bearer = BOB, codec: str = "video/H264") -> AsyncIterator[tuple[Watcher, Answer]]:
    watcher = Watcher()
    try:
        yield watcher, await watcher.watch(rtc, bearer, codec)
    finally:
        await watcher.close()
