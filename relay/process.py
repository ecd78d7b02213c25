"""A media process put together: encoders in, streams, and what is made of them."""

import asyncio
import secrets
import ssl
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from relay import unix
from relay.disk import Disk, DiskLimits
from relay.engine import Answer, Engine, Running
from relay.feed import Feed
from relay.feed_values import Began
from relay.files import Manifest
from relay.news import News
from relay.orphans import finish_orphans, folders_of
from relay.parts import Parts, Sink
from relay.parts_values import Keyframes
from relay.ports import Bearer, Destination, Output, Reason, Recorded, Refused
from relay.push.destination import PushSettings
from relay.push.lookups import Lookups
from relay.push.pushes import Pushes
from relay.push.status import PushStatus
from relay.recording import Recorder
from relay.remote import RemoteGate
from relay.rights import Rights
from relay.rpc import Counters, Method, methods_of
from relay.rpc_links import Listener
from relay.rtc.service import Rtc, RtcSettings
from relay.rtmp.ingest import RtmpSettings
from relay.rtmp.server import RtmpServer
from relay.stream import Stream
from relay.streams import Streams, StreamsSettings
from relay.thumbnails import Thumbnails
from relay.units import HZ

log = structlog.get_logger("relay.process")


class MediaSettings(Struct, frozen=True):
    """`run`: the folder of the Unix sockets `media-N.sock` (gateways) and `feed-N.sock` (edge processes); `media` that
    of streams' files. `dvr_seconds` 0 and no recording: no files.
    """

    number: int
    run: Path
    media: Path
    streams: StreamsSettings
    rtmp: RtmpSettings
    rtc: RtcSettings
    push: PushSettings
    disk: DiskLimits
    dvr_seconds: int


class MediaProcess(Engine, Protocol):
    """What gateways ask of a media process of ours, beside what they ask of any engine."""

    async def name(self) -> str:
        """Another one with each start."""


def engine_path(run: Path, number: int) -> Path:
    return run / f"media-{number}.sock"


def feed_path(run: Path, number: int) -> Path:
    return run / f"feed-{number}.sock"


class Media:
    """Is the `MediaProcess`. To be made within a loop; then `start`, and `close` at the end.

    A gateway that is gone refuses publishers and delays nothing else; an edge process that is gone or stalls loses its
    feed alone; a full or slow disk ends recordings alone.
    """

    def __init__(self, settings: MediaSettings, tls: ssl.SSLContext | None = None):
        self._settings = settings
        self._name = f"{settings.number}-{secrets.token_hex(8)}"
        self.calls = Counters()
        self.news = News()
        self.feed = Feed(settings.dvr_seconds)
        self.disk = Disk(settings.media, settings.disk)
        methods: dict[str, Method] = {}
        self._gateways = Listener(methods, counters=self.calls)
        self._gate = RemoteGate(self._gateways)
        self.streams = Streams(self._gate, self.news, settings.streams, self._outputs, self._stream_ended)
        self.rights = Rights(self._gate, lambda: time.time_ns() // 1_000_000)
        self.rtmp = RtmpServer(settings.rtmp, self.streams, tls)
        self._rtc: Rtc | None = None
        self.lookups = Lookups()
        self._pushes: dict[Stream, Pushes] = {}
        self._shown: dict[Stream, tuple[Output, ...]] = {}
        self.forgotten = 0
        """Streams that have ended."""
        self._pictures = ThreadPoolExecutor(1, "pictures")
        self._tasks: set[asyncio.Task[None]] = set()
        methods.update(methods_of(MediaProcess, self))

    async def start(self, rtmp: Sequence[socket], udp: socket) -> None:
        """On bound sockets, which are closed at the end. Raises OSError."""
        settings = self._settings
        self.disk.start()
        self._spawn(finish_orphans(self.disk, folders_of(self.disk), settings.number, self._recorded))
        await self.feed.start(unix.listen(feed_path(settings.run, settings.number)))
        await self._gateways.start(unix.listen(engine_path(settings.run, settings.number)))
        self._rtc = rtc = Rtc(udp, settings.rtc, self.streams, self.streams.get, self.rights)
        for sock in rtmp:
            await self.rtmp.listen(sock)
        self._spawn(self.streams.run())
        self._spawn(self.rights.ask_again(rtc.viewers.bearers, rtc.viewers.send_away))

    async def close(self) -> None:
        """Publishers are told that we leave, and a gateway what there is to tell, as far as seconds allow."""
        await self.streams.close()
        await self.rtmp.close()
        if self._rtc is not None:
            await self._rtc.close()
        await asyncio.gather(*(pushes.close() for pushes in self._pushes.values()))
        await asyncio.get_running_loop().run_in_executor(None, self.disk.close)
        await self.news.settle()
        await self.news.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.feed.close()
        await self._gateways.close()
        self._pictures.shutdown(wait=False, cancel_futures=True)

    # What gateways ask

    async def name(self) -> str:
        return self._name

    async def whip(self, room: str, user: str, key: str, address: str, offer: str) -> Answer:
        return await self._webrtc.whip(room, user, key, address, offer)

    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer:
        return await self._webrtc.whep(room, viewer, address, offer)

    async def trickle(self, resource: str, etag: str, fragment: str) -> str:
        return await self._webrtc.trickle(resource, etag, fragment)

    async def hang_up(self, resource: str) -> None:
        await self._webrtc.hang_up(resource)

    async def stop(self, room: str, fence: int, reason: Reason) -> None:
        await self.streams.stop(room, fence, reason)

    async def publishers(self) -> tuple[Running, ...]:
        return self.streams.running()

    async def make_public(self, room: str, session: str, record: bool) -> None:
        stream = self.streams.get(room)
        if stream is None or stream.admitted.session != session or not stream.admitted.test:
            return
        stream.admitted = replace(stream.admitted, test=False, record=record)
        for output in self._shown.pop(stream):
            stream.remove(output)
            output.ended("replaced")
        for output in self._show(stream):
            stream.add(output)

    async def remove_viewer(self, room: str, viewer: str) -> None:
        self.rights.revoke(room, viewer)
        self._webrtc.viewers.remove(room, viewer)

    async def watching(self) -> dict[str, list[str]]:
        return self._webrtc.viewers.watching()

    async def push_to(self, room: str, destinations: tuple[Destination, ...]) -> None:
        stream = self.streams.get(room)
        if stream is not None and stream in self._pushes:
            self._pushes[stream].push_to(destinations)

    @property
    def rtc(self) -> Rtc | None:
        """None before `start`."""
        return self._rtc

    @property
    def _webrtc(self) -> Rtc:
        if self._rtc is None:
            raise Refused("unavailable", "The process starts.")
        return self._rtc

    # What is made of a stream

    def _outputs(self, stream: Stream) -> Iterable[Output]:
        pushes = self._pushes[stream] = Pushes(
            stream,
            self._settings.push,
            partial(self.lookups.look_up, stream.admitted.user),
            lambda status: self._report_push(stream, status),
        )
        yield from self._show(stream)
        pushes.push_to(stream.admitted.destinations)

    def _show(self, stream: Stream) -> tuple[Output, ...]:
        """What edge processes and the disk are given: of a test that becomes public these begin anew."""
        parts = Parts(lambda: self._sinks(stream), lambda seldom: self._warn_of(stream, seldom))
        shown = self._shown[stream] = (parts, Thumbnails(self._pictures, parts.poster))
        return shown

    def _sinks(self, stream: Stream) -> list[Sink]:
        admitted, settings = stream.admitted, self._settings
        secret, folder = secrets.token_bytes(16), f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(8)}"
        line = self.feed.open(
            Began(admitted.room, admitted.session, admitted.user, stream.epoch_ms, secret, admitted.test, folder)
        )
        if not admitted.record and not settings.dvr_seconds:
            return [line]
        manifest = Manifest(
            admitted.room, admitted.session, admitted.user, stream.epoch_ms, secret, settings.number, admitted.record
        )
        recorder = Recorder(
            self.disk,
            folder,
            manifest,
            settings.dvr_seconds * HZ,
            line.tell,
            lambda message: self._warn(stream, message),
            self._recorded,
        )
        return [line, recorder]

    def _stream_ended(self, stream: Stream) -> None:
        self.forgotten += 1
        self._shown.pop(stream, None)
        if pushes := self._pushes.pop(stream, None):
            self._spawn(pushes.close())

    def _recorded(self, recorded: Recorded) -> None:
        self.news.say(recorded.room, lambda: self._gate.recorded(recorded))

    # What creators are told

    def _warn_of(self, stream: Stream, seldom: Keyframes) -> None:
        """The advice of `live.health` has it in words."""
        log.info("keyframes", room=stream.room, often=seldom.often)

    def _warn(self, stream: Stream, message: str) -> None:
        self.streams.report(stream, {"type": "live.warning", "message": message})

    def _report_push(self, stream: Stream, status: PushStatus) -> None:
        self.streams.report(stream, {"type": "live.destination", **msgspec.structs.asdict(status)})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
