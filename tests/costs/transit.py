"""How long a picture is within the server: `python -m tests.costs.transit`.

A film of 640 × 360 at 30 is published by RTMP, picture by picture, and watched by WHEP and by fMP4 over WebSocket on
the same machine. From the moment when a picture's last byte is given to the socket, to when its first packet (WHEP), or
the part in which it is the last one (fMP4), can be read. What of that is the medium's: a part waits for a third of a
second of pictures, and for the next one, by which it knows how long its last one is shown.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed

from relay import h264
from relay.rtc.dtls import Certificate
from relay.rtmp.flv import milliseconds, write_header, write_unit
from relay.rtmp.link import NONCE
from relay.rtmp.publish_session import PublishSession
from relay.units import HZ, Unit
from tests.costs.whep_viewers import Viewer
from tests.support.live import Creator, LiveServer, creator
from tests.support.media import film, units_of

SETTLE_SECONDS = 3.0
MARK = 24
"""Bytes of a slice by which it is known again."""
_FU_A, _START = 28, 0x80


class Sent:
    """When pictures were sent, by how their first slice begins."""

    def __init__(self) -> None:
        self.marks: OrderedDict[bytes, float] = OrderedDict()
        self.whep: list[float] = []
        self.fmp4: list[float] = []

    def note(self, unit: Unit) -> None:
        (slice_, *_) = (nal for nal in h264.split_lengths(unit.data) if h264.nal_type(nal) in (h264.SLICE, h264.IDR))
        self.marks[slice_[:MARK]] = time.monotonic()
        while len(self.marks) > 300:
            self.marks.popitem(last=False)


class Watcher(Viewer):
    """By WHEP; decrypts all."""

    def __init__(self, sent: Sent):
        super().__init__(Certificate(), checks=True)
        self._sent = sent

    def rtp(self, data: bytes) -> None:
        super().rtp(data)
        payload = data[12:]
        if payload[0] & 31 == _FU_A:
            if not payload[1] & _START:
                return
            payload = bytes([payload[0] & 0xE0 | payload[1] & 31]) + payload[2:]
        at = self._sent.marks.get(payload[:MARK])
        if at is not None:
            self._sent.whep.append(time.monotonic() - at)


async def publish(address: str, units: list[Unit], sent: Sent) -> None:
    """In real time."""
    at = urlsplit(address)
    app, _, key = at.path.strip("/").rpartition("/")
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    session = PublishSession(secrets.token_bytes(NONCE), f"rtmp://{at.netloc}/{app}", app, key)
    while not session.publishing:
        writer.write(session.take_output())
        session.receive(await reader.read(65_536))
    told: set[str] = set()
    begun = time.monotonic()
    for unit in units:
        await asyncio.sleep(max(0.0, begun + unit.dts / HZ - time.monotonic()))
        video = unit.kind == "video"
        if unit.kind not in told:
            told.add(unit.kind)
            session.media(video, 0, write_header(unit.config))
        session.media(video, milliseconds(unit.dts), write_unit(unit))
        writer.write(session.take_output())
        if video:
            sent.note(unit)
    writer.close()


async def watch(ana: Creator, sent: Sent) -> None:
    viewer = await ana.shown()
    try:
        async for message in viewer:
            now = time.monotonic()
            if isinstance(message, bytes):
                inside = [at for mark, at in sent.marks.items() if mark in message]
                if inside:
                    sent.fmp4.append(now - max(inside))
    except ConnectionClosed:
        return


async def measure(seconds: float) -> Sent:
    sent = Sent()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data, LiveServer(Path(data)) as server:
        path = Path(data) / "film.mp4"
        await asyncio.to_thread(film, path, seconds + SETTLE_SECONDS, size="640x360", b_frames=0)
        async with creator(server) as ana, httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            publishing = asyncio.create_task(publish(await ana.address(), list(units_of(path)), sent))
            await ana.until("live.started")
            watching = asyncio.create_task(watch(ana, sent))
            whep = Watcher(sent)
            await whep.join(client, ana.room, "bob")
            await asyncio.sleep(SETTLE_SECONDS)
            sent.whep.clear()
            sent.fmp4.clear()
            await publishing
            watching.cancel()
            await whep.leave(client)
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    sent = asyncio.run(measure(parser.parse_args().seconds))
    for way, found in (("WHEP", sent.whep), ("fMP4, of a part's last picture", sent.fmp4)):
        late = quantiles(found, n=100)
        print(f"{way}: median {median(found) * 1_000:.1f} ms, 99% {late[98] * 1_000:.1f} ms, of {len(found)}")


if __name__ == "__main__":
    main()
