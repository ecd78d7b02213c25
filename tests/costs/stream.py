"""What a viewer by fMP4 over WebSocket costs the edge process: `python -m tests.costs.stream --viewers 2000`.

ffmpeg publishes 600 kbit/s by RTMP to a whole server; so many sockets watch, and a thread throws away what they are
sent. Prints the share of a core that the edge process takes, and how many viewers would fill one.
"""

import argparse
import asyncio
import selectors
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loadtest.processes import cpu_seconds
from tests.support.live import LiveServer, creator

KBIT = 600
REQUEST = (
    "GET /v1/rooms/{room}/stream?pass={passed} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SETTLE_SECONDS = 5.0


class Drain(threading.Thread):
    """Reads all sockets and keeps nothing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.ended = 0
        self.going = True
        self._selector = selectors.DefaultSelector()

    def add(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)

    def run(self) -> None:
        room = bytearray(262_144)
        while self.going:
            for key, _ in self._selector.select(0.1):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                count = sock.recv_into(room)
                self.bytes += count
                if not count:
                    self.ended += 1
                    self._selector.unregister(sock)


def publish(address: str) -> list[str]:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    rate = ["-b:v", f"{KBIT - 64}k", "-minrate", f"{KBIT - 64}k", "-maxrate", f"{KBIT - 64}k", "-bufsize", "300k"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-x264-params", "nal-hrd=cbr", "-c:a", "aac"]
    return ["ffmpeg", "-loglevel", "quiet", "-re", *picture, *rate, *codecs, "-b:a", "64k", "-f", "flv", address]


async def measure(viewers: int, seconds: float) -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        LiveServer(Path(data), {"GALAXY_RELAY__DVR_SECONDS": "0", "GALAXY_RELAY__RECORD": "false"}) as server,
    ):
        async with creator(server) as ana:
            encoding = publish(await ana.address())
            with subprocess.Popen(encoding, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                await ana.until("live.started")
                await (await ana.shown()).close()
                index = await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")
                at = urlsplit(index.headers["location"])
                request = REQUEST.format(room=ana.room, passed=parse_qs(at.query)["pass"][0]).encode()
                drain, socks = Drain(), []
                drain.start()
                for _ in range(viewers):
                    sock = socket.create_connection((at.hostname or "127.0.0.1", at.port or 80))
                    sock.sendall(request)
                    drain.add(sock)
                    socks.append(sock)
                    await asyncio.sleep(0)
                await asyncio.sleep(SETTLE_SECONDS)
                (edge,) = server.pids("edge")
                used, received = cpu_seconds(edge), drain.bytes
                await asyncio.sleep(seconds)
                share, received = (cpu_seconds(edge) - used) / seconds, drain.bytes - received
                drain.going = False
                drain.join()
                encoder.kill()
                for sock in socks:
                    sock.close()
    kbit = received * 8 / 1_000 / seconds / viewers
    print(
        f"{viewers} viewers, {kbit:.0f} kbit/s each ({drain.ended} ended): {share:.0%} of a core, "
        f"{viewers / share:,.0f} viewers a core at that rate"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    asyncio.run(measure(args.viewers, args.seconds))


if __name__ == "__main__":
    main()
