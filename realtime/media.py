"""The main program of a media process: its settings, its sockets, its signals and its figures."""

import asyncio
import signal
import ssl
from collections.abc import Callable

import structlog
import uvloop
from prometheus_client import CollectorRegistry, Gauge

from realtime import logs
from realtime.config import Config
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import make_server, running
from realtime.heap import Heap
from realtime.http.health import Health
from realtime.scheduling import give_way
from realtime.worker import Inherited
from relay.disk import MEGABYTE, DiskLimits
from relay.process import Media, MediaSettings
from relay.push.addresses import read_networks
from relay.push.destination import PushSettings
from relay.rtc.service import RtcSettings
from relay.rtmp.ingest import RtmpSettings
from relay.stream import Caps
from relay.streams import StreamsSettings

log = structlog.get_logger("realtime.media")


def run(config: Config, inherited: Inherited) -> int:
    """Serves until SIGTERM has been obeyed, or the supervisor has gone. Returns the process's exit code."""
    logs.setup(config.log)
    give_way()
    structlog.contextvars.bind_contextvars(media=inherited.slot)
    return uvloop.run(_serve(config, inherited))


def settings_of(config: Config, number: int) -> MediaSettings:
    relay = config.relay
    return MediaSettings(
        number=number,
        run=config.data / "run",
        media=config.media_folder,
        streams=StreamsSettings(Caps(relay.max_kbit, relay.max_pixels), relay.publishers, relay.grace_seconds),
        rtmp=RtmpSettings(max_kbit=relay.max_kbit, max_pixels=relay.max_pixels),
        rtc=RtcSettings(relay.public_addresses, relay.max_kbit, relay.whep_viewers, relay.udp_offload),
        push=PushSettings(read_networks(relay.push_networks)),
        disk=DiskLimits(
            relay.stream_megabytes * MEGABYTE, relay.media_megabytes * MEGABYTE, relay.free_megabytes * MEGABYTE
        ),
        dvr_seconds=relay.dvr_seconds,
    )


class _Attended:
    """A media process has no successor while it lives: it ends when it is told to, or nobody is left to tell it."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()

    async def ended(self) -> None:
        await self.ending.wait()

    def yield_place(self) -> None:
        self.ending.set()

    def begin_drain(self) -> None:
        self.ending.set()


async def _serve(config: Config, inherited: Inherited) -> int:
    rtmp, admin = inherited.sockets()
    attended = _Attended()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, attended.ending.set)
    media = Media(settings_of(config, inherited.slot), _tls(config))
    try:
        await media.start(rtmp, inherited.udp_socket())
    except OSError as error:
        log.error("cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1
    heap = Heap(lambda: media.forgotten, lambda: not any(media.streams))
    tasks = [asyncio.create_task(inherited.attend(attended)), asyncio.create_task(heap.run())]
    try:
        if admin:
            server = make_server(
                _health(media, heap, attended).alone(),
                ws_class=asyncio.Protocol,
                http_class=http_class(HttpLimits()),
                drain=attended.ended,
            )
            async with running(server, admin):
                await attended.ending.wait()
        else:
            await attended.ending.wait()
        await media.close()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return 0


def _tls(config: Config) -> ssl.SSLContext | None:
    relay = config.relay
    if not relay.rtmp_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(relay.rtmp_certificate, relay.rtmp_key or None)
    return context


def _health(media: Media, heap: Heap, attended: _Attended) -> Health:
    registry = CollectorRegistry()
    for name, text, read in _figures(media, heap):
        Gauge(f"galaxy_media_{name}", text, registry=registry).set_function(read)
    return Health(lambda: "draining" if attended.ending.is_set() else None, list, registry)


def _figures(media: Media, heap: Heap) -> tuple[tuple[str, str, Callable[[], float]], ...]:
    return (
        ("streams", "Streams, those whose publisher is away included.", lambda: len(tuple(media.streams))),
        ("streams_untrimmed", "Streams forgotten since the heap was trimmed.", lambda: heap.untrimmed),
        ("tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks())),
        ("publishers", "Publishers.", lambda: media.streams.publishers),
        ("publishers_refused", "Publishers that were not let in.", lambda: media.streams.refused),
        ("rtmp_connections", "RTMP connections.", lambda: media.rtmp.connections),
        ("rtmp_half_open", "RTMP connections that do not publish yet.", lambda: media.rtmp.half_open),
        ("news_waiting", "What gateways have yet to hear.", lambda: media.news.waiting),
        ("news_dropped", "What they will never hear.", lambda: media.news.dropped),
        ("feed_cut_off", "Connections to edge processes that did not read.", lambda: media.feed.cut_off),
        ("calls_refused", "Calls between processes beyond the bound.", lambda: media.calls.refused),
        ("calls_late", "Calls to gateways without an answer in time.", lambda: media.calls.late),
        ("calls_cut_off", "Connections to gateways that did not read.", lambda: media.calls.cut_off),
        ("lookups", "Names of destinations that are being looked up.", lambda: media.lookups.running),
        ("lookups_refused", "Look-ups for which there was no thread.", lambda: media.lookups.refused),
        ("disk_waiting_bytes", "Segments that wait for the disk.", lambda: media.disk.waiting),
        ("disk_dropped", "Segments that were not written.", lambda: media.disk.dropped),
        ("recordings_failed", "Recordings ended by the disk or a limit.", lambda: media.disk.failed),
        ("gop_overflows", "Groups of pictures too long to keep.", lambda: sum(s.gop.overflows for s in media.streams)),
        ("clock_jumps", "Jumps of publishers' clocks.", lambda: sum(s.clock.mended for s in media.streams)),
        ("clock_dropped", "Units that would have gone back.", lambda: sum(s.clock.dropped for s in media.streams)),
        ("sound_apart", "Units of sound too far from the picture.", lambda: sum(s.clock.apart for s in media.streams)),
        (
            "sound_undecodable",
            "Units of sound that could not be decoded.",
            lambda: sum(s.undecodable for s in media.streams),
        ),
        ("whep_viewers", "Viewers by WHEP.", lambda: media.rtc.viewers.count if media.rtc else 0),
        (
            "whep_dropped_frames",
            "Frames that not all viewers by WHEP got in time.",
            lambda: media.rtc.viewers.dropped_frames if media.rtc else 0,
        ),
        ("denials_forgotten", "Revocations that were held for less than their time.", lambda: media.rights.forgotten),
        ("udp_sent", "Datagrams sent.", lambda: media.rtc.port.sent if media.rtc else 0),
        ("udp_dropped", "Datagrams dropped as the socket was full.", lambda: media.rtc.port.drops if media.rtc else 0),
        (
            "udp_refused",
            "Datagrams received that were of nobody, or too many of a session.",
            lambda: media.rtc.dropped + media.rtc.agent.dropped if media.rtc else 0,
        ),
        ("udp_errors", "Datagrams that the kernel refused.", lambda: media.rtc.port.errors if media.rtc else 0),
        ("outputs_failed", "Outputs that failed.", lambda: sum(s.failed_outputs for s in media.streams)),
    )
