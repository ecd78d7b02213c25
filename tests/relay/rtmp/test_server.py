"""The ingest server against peers that are refused, slow, silent, malformed, or many."""

import asyncio
import itertools
import ssl
from functools import partial
from pathlib import Path

import pytest

from relay.push.connection import Configs, Connection, connect
from relay.push.lookups import Lookups
from relay.push.target import read_target
from relay.rtmp.amf0 import encode
from relay.rtmp.chunks import COMMAND, Message, write_message
from relay.rtmp.ingest import RtmpSettings
from relay.rtmp.link import HANDSHAKE
from relay.rtmp.publish_session import Rejected
from tests.relay.push.support import AUDIO, LOCAL, VIDEO, audio, video
from tests.relay.rtmp.support import AAC, FFMPEG, H264, KEY, PICTURE, TONE, program, raw, running, said, until
from tests.support.certificates import self_signed

CONFIGS: Configs = {"video": VIDEO, "audio": AUDIO}
GREETING = b"\3" + bytes(2 * HANDSHAKE)


async def publisher(url: str) -> Connection:
    connection = await connect(read_target(url), LOCAL, partial(Lookups().look_up, "ann"), ssl.create_default_context())
    try:
        await connection.negotiate()
    except Rejected:
        connection.abort()
        raise
    return connection


async def test_a_wrong_key_and_a_wrong_application_are_refused_in_words() -> None:
    async with running() as server:
        for url, text in ((server.url + "x", "No stream has this key"), (server.url.replace("live", "app"), "/live")):
            with pytest.raises(Rejected, match=text):
                await publisher(url)
        async with program(*FFMPEG, *PICTURE, "-t", "1", *H264, "-f", "flv", server.url + "x") as ffmpeg:
            assert "No stream has this key." in await said(ffmpeg)
            assert ffmpeg.returncode != 0
        assert not server.streams


async def test_other_codecs_and_large_pictures_are_refused_in_words() -> None:
    async with running(RtmpSettings(max_pixels=640 * 359)) as server:
        flv1 = ("-c:v", "flv1", "-t", "30", "-f", "flv", server.url)
        async with program(*FFMPEG, "-re", *PICTURE, *flv1) as ffmpeg:
            assert "set the encoder to H.264" in await said(ffmpeg)
        async with program(*FFMPEG, "-re", *PICTURE, "-t", "30", *H264, "-f", "flv", server.url) as ffmpeg:
            assert "pictures of 640 × 360 are too large" in await said(ffmpeg)
        await until(lambda: [stream.reasons for stream in server.streams] == [["refused"], ["refused"]])


async def test_too_high_a_bitrate_ends_the_publisher() -> None:
    async with running(RtmpSettings(max_kbit=100)) as server:
        connection = await publisher(server.url)
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken, as it comes
            await _flood(connection)
        connection.abort()
        await until(lambda: server.streams[0].reasons == ["refused"])


async def _flood(connection: Connection) -> None:
    for number in range(10_000):
        await connection.send(video(number, 10_000), CONFIGS, 10)


@pytest.mark.parametrize("reason", ["replaced", "key_rotated", "taken_down"])
async def test_a_closed_publisher_hears_why_and_gives_nothing_more(reason: str) -> None:
    async with running() as server:
        connection = await publisher(server.url)
        await connection.send(video(0), CONFIGS, 10)
        await until(lambda: server.streams[0].units)
        server.streams[0].publisher.close(reason)  # type: ignore[arg-type]
        before = len(server.streams[0].units)
        with pytest.raises(Rejected):
            await connection.read()
        assert len(server.streams[0].units) == before
        assert server.streams[0].reasons == []  # who closes it tells the stream
        connection.abort()


async def test_a_silent_publisher_is_noticed() -> None:
    async with running(RtmpSettings(idle_seconds=0.2)) as server:
        connection = await publisher(server.url)
        await connection.send(audio(0), CONFIGS, 10)
        with pytest.raises(Rejected, match="No audio or video came"):
            await connection.read()
        connection.abort()
        assert server.streams[0].reasons == ["gone"]


async def test_an_error_of_ours_ends_the_publisher_and_its_stream_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with running() as server:
        connection = await publisher(server.url)
        monkeypatch.setattr("tests.relay.rtmp.support.Stream.unit", broken)
        await connection.send(video(0), CONFIGS, 10)
        await until(lambda: server.server.ended["failed"])
        assert server.streams[0].reasons == ["failed"]
        connection.abort()


async def test_a_server_that_ends_tells_its_streams() -> None:
    async with running() as server:
        connection = await publisher(server.url)
        await asyncio.gather(server.server.close(), _rejected(connection))
        assert server.streams[0].reasons == ["leaving"]


async def test_a_server_that_ends_does_not_disturb_who_is_parting() -> None:
    async with running() as server, raw(server.port) as peer:
        peer.writer.write(GREETING + b"\xc5")
        assert b"Malformed RTMP" in await peer.ended()
        assert server.server.connections == 1
        await server.server.close()
        assert server.server.ended == {"failed": 1}


async def _rejected(connection: Connection) -> None:
    with pytest.raises(Rejected, match="restarting"):
        await connection.read()
    connection.abort()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\6" + bytes(HANDSHAKE),
        GREETING + b"\xc5",
        GREETING + write_message(Message(COMMAND, 0, 0, b"\2\0\xff"), 3, 128),
        GREETING + write_message(Message(COMMAND, 0, 0, encode("publish", 1.0, None, KEY)), 3, 128),
        GREETING + write_message(Message(22, 0, 0, bytes(100_000)), 3, 128),
        GREETING + write_message(Message(COMMAND, 0, 0, encode("connect", 1.0, {"app": "a" * 20_000})), 3, 128),
        GREETING + write_message(Message(COMMAND, 0, 0, encode("connect", 1.0) + b"\5" * 5_000), 3, 128),
    ],
    ids=["http", "rtmpe", "chunk", "amf", "unconnected", "too much", "a long command", "many values"],
)
async def test_what_is_malformed_ends_that_connection_alone(data: bytes) -> None:
    async with running() as server:
        good = await publisher(server.url)
        async with raw(server.port) as peer:
            peer.writer.write(data)
            await peer.ended()
        await until(lambda: server.server.ended["failed"] == 1)
        await good.send(video(0), CONFIGS, 10)
        await until(lambda: server.streams[0].units)
        good.abort()


async def test_half_open_connections_are_bounded_and_publishers_go_on() -> None:
    settings = RtmpSettings(half_open=8, half_open_per_address=100, publish_seconds=30)
    async with running(settings) as server:
        good = await publisher(server.url)
        flood = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
        await until(lambda: server.server.ended["flood"] >= 52)
        assert server.server.half_open <= 8
        late = await publisher(server.url)
        for connection in (good, late):
            await connection.send(video(0), CONFIGS, 10)
        await until(lambda: all(stream.units for stream in server.streams))
        for _, writer in flood:
            writer.transport.abort()
        good.abort()
        late.abort()
        await until(lambda: server.server.connections == 0)


async def test_an_address_has_so_many_half_open_ones_and_they_end_in_time() -> None:
    async with running(RtmpSettings(half_open_per_address=3, publish_seconds=1.0)) as server:
        flood = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10)]
        await until(lambda: server.server.ended["flood"] == 7)
        await until(lambda: server.server.connections == 0)
        connection = await publisher(server.url)
        for _, writer in flood:
            writer.transport.abort()
        connection.abort()


async def test_rtmps(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with running(tls=tls) as server:
        async with program(*FFMPEG, *PICTURE, *TONE, "-t", "2", *H264, *AAC, "-f", "flv", server.url) as ffmpeg:
            assert await said(ffmpeg) == ""
        await until(lambda: server.streams[0].reasons)
        assert len(server.streams[0].track("video")) == 60


async def test_timestamps_go_on_past_4_hours_39_minutes() -> None:
    async with running() as server:
        offset = ("-output_ts_offset", "16776.2")  # 0xFFFFFF ms come a second later
        command = (*FFMPEG, *PICTURE, *TONE, "-t", "3", *H264, *AAC, *offset, "-f", "flv", server.url)
        async with program(*command) as ffmpeg:
            assert await said(ffmpeg) == ""
        await until(lambda: server.streams and server.streams[0].reasons)
        for track in (server.streams[0].track("video"), server.streams[0].track("audio")):
            assert track[0].dts < 0xFFFFFF * 90 < track[-1].dts
            assert all(0 < after.dts - before.dts < 4_000 for before, after in itertools.pairwise(track))
