"""Viewers by WHEP, many in one process, for `tests.costs.whep_network`, which starts it in a network namespace.

Each has a socket, ICE and DTLS of its own. All report each second, ask for 1% of their packets again, and show every
five seconds that they are there. One in 32 decrypts what it gets and counts holes; the others read the headers only.
Beside them so many a second come, and go when as many others have come. Commands come on stdin, one JSON line answers.
"""

import argparse
import asyncio
import json
import re
import secrets
import socket
import sys
import time
from collections import deque

import httpx
import uvloop
from aioice import stun
from aiortc.rtp import RtcpReceiverInfo

from relay.rtc import rtcp
from relay.rtc.dtls import Certificate, Secured, Wire
from tests.support.server import token

UDP_GRO = 104
"""Runs come as they left, and the link's receiving side, which runs on the sender's core, has little to do."""
CHECKED = 32
CONSENT_SECONDS = 5.0
JOINING = 20
"""At once, at the beginning."""
OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
a=setup:active
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
"""


class Viewer:
    """One session. `packets` are what came, `holes` what did not, as far as this one checks."""

    def __init__(self, certificate: Certificate, checks: bool):
        self.certificate, self.checks = certificate, checks
        self.packets = self.holes = 0
        self.last: dict[int, int] = {}
        self.resource = ""
        self._asked: asyncio.Future[None] | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
        self.secured = Secured(certificate, Wire(self._send), "client", self)
        self._there = b""

    def _send(self, data: bytes) -> None:
        self.socket.send(data)

    async def join(self, client: httpx.AsyncClient, room: str, user: str) -> None:
        """Raises httpx.HTTPError, TimeoutError."""
        ufrag, password = secrets.token_hex(4), secrets.token_hex(12)
        offer = OFFER.format(ufrag=ufrag, password=password, fingerprint=self.certificate.fingerprint)
        headers = {"Authorization": f"Bearer {token(user)}", "Content-Type": "application/sdp"}
        reply = await client.post(f"/v1/rooms/{room}/whep", content=offer.replace("\n", "\r\n"), headers=headers)
        reply.raise_for_status()
        self.resource = reply.headers["location"]
        loop = asyncio.get_running_loop()
        found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", reply.text)
        assert found is not None, reply.text
        self.socket.connect((found[1], int(found[2])))
        loop.add_reader(self.socket, self._read)
        peer, secret, digest = (
            re.findall(pattern, reply.text)[0]
            for pattern in (r"a=ice-ufrag:(\S+)", r"a=ice-pwd:(\S+)", r"a=fingerprint:sha-256 (\S+)")
        )
        self._there = request(f"{peer}:{ufrag}", secret)
        async with asyncio.timeout(10):
            self._asked = loop.create_future()
            self.consent()
            await self._asked
            assert await self.secured.handshake([("sha-256", digest)])

    def consent(self) -> None:
        self.socket.send(self._there)

    def _read(self) -> None:
        """All that waits."""
        while True:
            try:
                data, more, _, _ = self.socket.recvmsg(65_535, 64)
            except BlockingIOError:
                return
            size = next((int.from_bytes(value, sys.byteorder) for _, kind, value in more if kind == UDP_GRO), len(data))
            for at in range(0, len(data), size):
                self._datagram(data[at : at + size])

    def _datagram(self, data: bytes) -> None:
        if data[0] < 4:
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(None)
        elif data[0] < 64 or self.checks:
            self.secured.datagram(data)
        elif not 192 <= data[1] <= 208:
            self.packets += 1
            self.last[int.from_bytes(data[8:12])] = int.from_bytes(data[2:4])

    def rtp(self, data: bytes) -> None:
        ssrc, sequence = int.from_bytes(data[8:12]), int.from_bytes(data[2:4])
        self.packets += 1
        if ssrc in self.last:
            self.holes += (sequence - self.last[ssrc] - 1) & 0xFFFF
        self.last[ssrc] = sequence

    def rtcp(self, data: bytes) -> None:
        """Nothing is made of it."""

    def report(self) -> None:
        outbound = self.secured.outbound
        if outbound is None or not self.last:
            return
        reports = [RtcpReceiverInfo(ssrc, 0, 0, last, 0, 0, 0) for ssrc, last in list(self.last.items())[:3]]
        busiest = max(self.last, key=lambda ssrc: self.last[ssrc])
        lost = [(self.last[busiest] - back) & 0xFFFF for back in (90, 40, 3)]
        data = rtcp.receiver_report(1, reports) + rtcp.nack(1, busiest, lost)
        self.socket.send(outbound.protect_rtcp(data))

    async def leave(self, client: httpx.AsyncClient) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        await client.delete(self.resource)
        await self.secured.stop()
        self.socket.close()


def request(username: str, password: str) -> bytes:
    message = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        attributes={
            "USERNAME": username,
            "PRIORITY": 1,
            "ICE-CONTROLLING": secrets.randbits(63),
            "USE-CANDIDATE": None,
        },
    )
    message.add_message_integrity(password.encode())
    message.add_fingerprint()
    return bytes(message)


class Crowd:
    def __init__(self, client: httpx.AsyncClient, room: str):
        self.client, self.room = client, room
        self.certificate = Certificate()
        self.viewers: list[Viewer] = []
        self.guests: deque[Viewer] = deque()
        self.joined = self.left_packets = 0
        self.join_seconds: list[float] = []

    async def add(self, guest: bool = False) -> None:
        self.joined += 1
        viewer = Viewer(self.certificate, checks=not guest and self.joined % CHECKED == 0)
        begun = time.monotonic()
        await viewer.join(self.client, self.room, f"viewer-{self.joined}")
        self.join_seconds.append(time.monotonic() - begun)
        (self.guests if guest else self.viewers).append(viewer)

    async def report(self) -> None:
        """Of a thirtieth of the viewers thirty times a second."""
        turn = 0
        while True:
            turn += 1
            everybody = [*self.viewers, *self.guests]
            for viewer in everybody[turn % 30 :: 30]:
                viewer.report()
                if turn // 30 % int(CONSENT_SECONDS) == 0:
                    viewer.consent()
            await asyncio.sleep(1 / 30)

    async def wake(self) -> None:
        """Never sleeps: a core that has to be woken for each datagram costs the sender an interrupt between them, which
        in a virtual machine is a fifth of all that it does.
        """
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def churn(self, a_second: int) -> None:
        """So many come each second; who has come before goes."""
        while a_second:
            begun = time.monotonic()
            await self.add(guest=True)
            if len(self.guests) > a_second:
                guest = self.guests.popleft()
                await guest.leave(self.client)
                self.left_packets += guest.packets
            await asyncio.sleep(max(0.0, begun + 1 / a_second - time.monotonic()))


async def run(args: argparse.Namespace) -> None:
    limits = httpx.Limits(max_connections=JOINING)
    async with httpx.AsyncClient(base_url=args.url, timeout=30, limits=limits) as client:
        crowd = Crowd(client, args.room)
        async with asyncio.TaskGroup() as background:
            tasks = [background.create_task(crowd.report())]
            if args.awake:
                tasks.append(background.create_task(crowd.wake()))
            for first in range(0, args.viewers, JOINING):
                await asyncio.gather(*(crowd.add() for _ in range(first, min(args.viewers, first + JOINING))))
            tasks.append(background.create_task(crowd.churn(args.joins)))
            say(viewers=len(crowd.viewers))
            await asyncio.to_thread(sys.stdin.readline)
            before, joined, begun = count(crowd), crowd.joined, time.monotonic()
            holes = sum(viewer.holes for viewer in crowd.viewers)
            say(begun=True)
            await asyncio.to_thread(sys.stdin.readline)
            seconds = time.monotonic() - begun
            say(
                viewers=len(crowd.viewers) + len(crowd.guests),
                packets=(count(crowd) - before) / seconds,
                joins=(crowd.joined - joined) / seconds,
                join_ms=round(1_000 * sorted(crowd.join_seconds)[len(crowd.join_seconds) // 2]),
                holes=sum(viewer.holes for viewer in crowd.viewers) - holes,
                refused=sum(viewer.secured.refused for viewer in crowd.viewers),
                checked=sum(viewer.checks for viewer in crowd.viewers),
                silent=sum(not viewer.packets for viewer in crowd.viewers),
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*(viewer.leave(client) for viewer in [*crowd.viewers, *crowd.guests]))


def count(crowd: Crowd) -> int:
    return crowd.left_packets + sum(viewer.packets for viewer in [*crowd.viewers, *crowd.guests])


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--room", required=True)
    parser.add_argument("--viewers", type=int, required=True)
    parser.add_argument("--joins", type=int, required=True, help="a second")
    parser.add_argument("--awake", action="store_true", help="wait for nothing")
    uvloop.run(run(parser.parse_args()))
