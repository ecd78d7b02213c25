"""What a viewer by WHEP costs: `python -m tests.costs.whep`.

A stream of 2.5 Mbit/s at 30 pictures a second with Opus goes to so many viewers, whose keys are made up and whose
addresses are sockets that nobody reads. Each viewer reports each second and asks for 1% of its packets again. Prints
the share of a core that it takes and how many viewers would fill one, with the kernel cutting runs and without. Not in
it: the handshakes, and decrypting what viewers send. On one machine the kernel's side of receiving is in it.
"""

import argparse
import asyncio
import random
import socket
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pylibsrtp
import uvloop
from aiortc.rtp import RtcpReceiverInfo

from relay import h264
from relay.ports import Bearer
from relay.rtc import rtcp
from relay.rtc.answer import Chosen, Source
from relay.rtc.connection import Connection
from relay.rtc.egress import Egress
from relay.rtc.port import Port
from relay.rtc.protect import Outbound
from relay.rtc.sdp import Format
from relay.rtc.viewer import Outgoing, Viewer
from relay.units import HZ, AudioConfig, Unit, VideoConfig

FRAME_BYTES, KEY_BYTES = 9_800, 28_000
"""2.5 Mbit/s with a keyframe every two seconds."""
OPUS_BYTES = 240
SINKS = 64
VIDEO = Chosen(Format(96, "h264/90000", {}, ("nack",)), "h264", 97, {})
AUDIO = Chosen(Format(111, "opus/48000/2", {}, ()), "opus", None, {})


@dataclass
class Cost:
    viewers: int
    offload: bool
    share: float
    packets: float
    dropped: int

    def __str__(self) -> str:
        a_core = self.viewers / self.share
        return (
            f"| {'on' if self.offload else 'off'} | {self.viewers} | {self.share:.0%} | {self.packets:,.0f} "
            f"| {a_core:,.0f} | {self.packets / self.share:,.0f} | {self.dropped} |"
        )


def session() -> Outbound:
    policy = pylibsrtp.Policy(
        key=random.randbytes(28),
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    return Outbound(pylibsrtp.Session(policy), b"SRTP_AEAD_AES_128_GCM")


def sinks() -> list[socket.socket]:
    made = []
    for _ in range(SINKS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        made.append(sock)
    return made


def connection(port: Port, address: tuple[str, int]) -> Connection:
    """As much of one as a viewer uses."""
    made = SimpleNamespace(
        secured=SimpleNamespace(outbound=session()),
        party=SimpleNamespace(heard=float("inf"), address=address),
        protector=port.protector,
    )
    made.send = lambda data: port.send(data, address)
    made.send_run = lambda run, size, count: port.send_run(run, size, count, address)
    made.send_rtcp = lambda data: port.send(made.secured.outbound.protect_rtcp(data), address)
    return cast(Connection, made)


def picture(index: int, config: VideoConfig) -> Unit:
    key = index % 60 == 0
    data = bytes([0x65 if key else 0x41]) + random.randbytes(KEY_BYTES if key else FRAME_BYTES)
    return Unit("video", index * 3_000, index * 3_000, h264.join_lengths([data]), key, config)


def feedback(viewer: Viewer) -> bytes:
    track = viewer.tracks["video"]
    report = RtcpReceiverInfo(track.source.ssrc, 2, 0, track.sequence, 0, 0, 0)
    lost = [(track.sequence - back) & 0xFFFF for back in (90, 40, 3)]
    return rtcp.receiver_report(1, [report]) + rtcp.nack(1, track.source.ssrc, lost)


async def measure(count: int, offload: bool, seconds: float) -> Cost:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(("127.0.0.1", 0))
    port = Port(own, lambda data, address: None, offload=offload)
    egress = Egress(lambda: None)
    receivers = sinks()
    config = VideoConfig("h264", 1_280, 720, (b"\x67\x42\xc0\x1f" + bytes(12),), (b"\x68\xce\x3c\x80",))
    opus = AudioConfig("opus", 48_000, 2)
    for index in range(count):
        tracks: dict[Any, Outgoing] = {
            "video": Outgoing(VIDEO, Source(2 * index + 1, 1_000_000 + index, "g"), HZ),
            "audio": Outgoing(AUDIO, Source(2 * index + 2, 0, "g"), 48_000),
        }
        viewer = Viewer(Bearer(str(index)), tracks, egress.join, egress.lost_picture, egress.leave)
        viewer.connection = connection(port, receivers[index % SINKS].getsockname())
        egress.join(viewer)
    units = [picture(index, config) for index in range(60)]
    loop = asyncio.get_running_loop()
    begun, used, sent = loop.time(), time.process_time(), 0
    audio_index = 0
    for index in range(round(seconds * 30)):
        unit = units[index % 60]
        pts = index * 3_000
        egress.unit(Unit("video", pts, pts, unit.data, unit.key, config))
        while audio_index * 1_800 < pts:
            at = audio_index * 1_800
            egress.unit(Unit("audio", at, at, bytes(OPUS_BYTES), True, opus))
            audio_index += 1
        for viewer in egress.viewers[index % 30 :: 30]:
            viewer.rtcp(feedback(viewer))
        egress.tick(time.monotonic())
        await asyncio.sleep(max(0.0, begun + (index + 1) / 30 - loop.time()))
    wall, used, sent = loop.time() - begun, time.process_time() - used, port.sent
    port.close()
    for sock in receivers:
        sock.close()
    return Cost(count, offload, used / wall, sent / wall, egress.dropped_frames + port.drops)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    print("| offload | viewers | of a core | packets/s | viewers a core | packets/s a core | dropped |")
    print("|---|---|---|---|---|---|---|")
    for _ in range(args.pairs):
        for offload in (True, False):
            print(uvloop.run(measure(args.viewers, offload, args.seconds)), flush=True)


if __name__ == "__main__":
    main()
