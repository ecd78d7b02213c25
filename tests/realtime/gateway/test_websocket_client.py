"""The stock `websockets` client against `tests.echo`'s server, and one buffer for many connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from realtime.gateway.frames import text_frame
from realtime.gateway.websocket import Limits
from tests.echo import EchoAcceptor, serving
from tests.realtime.gateway.wsserver import RecordingAcceptor


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(EchoAcceptor()) as server:
        yield f"ws://127.0.0.1:{server.port}/any/path"


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
async def test_echo(url: str, length: int) -> None:
    async with connect(url, compression="deflate") as client:
        await client.send("é" * (length // 2))
        assert await client.recv() == "é" * (length // 2)
        await client.send(b"\xff" * length)
        assert await client.recv() == b"\xff" * length


async def test_fragments_ping_and_subprotocol(url: str) -> None:
    async with connect(url, subprotocols=[Subprotocol("anything")]) as client:
        assert client.subprotocol == "anything"
        await client.send(["a", "", "b"])
        assert await client.recv() == "ab"
        await (await client.ping(b"payload"))
        await client.close(4000, "bye")
        assert (client.close_code, client.close_reason) == (4000, "bye")


async def test_many_messages_in_one_segment_keep_their_order(url: str) -> None:
    async with connect(url) as client:
        await asyncio.gather(*(client.send(str(number)) for number in range(500)))
        assert [await client.recv() for _ in range(500)] == [str(number) for number in range(500)]


async def test_too_long(url: str) -> None:
    async with connect(url) as client:
        await client.send(bytes(65537))
        with pytest.raises(ConnectionClosedError) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_peer_that_sends_more_than_it_reads_gets_everything_in_the_end(url: str) -> None:
    async with connect(url, max_queue=1) as client:
        blocks = [bytes([number]) * 60_000 for number in range(100)]

        async def send() -> None:
            for block in blocks:
                await client.send(block)

        sending = asyncio.create_task(send())
        assert [await client.recv() for _ in blocks] == blocks
        await sending


async def test_one_buffer_of_several_frames_to_many_connections() -> None:
    acceptor = RecordingAcceptor()
    async with serving(acceptor) as server:
        url = f"ws://127.0.0.1:{server.port}/v1/socket"
        clients = [await connect(url, compression=None) for _ in range(50)]
        buffer = b"".join(text_frame(b"event %d" % number) for number in range(20))
        connections = [acceptor.recorders.get_nowait().connection for _ in clients]
        for connection in connections:
            assert connection.write(buffer)
        for client in clients:
            assert [await client.recv() for _ in range(20)] == [f"event {number}" for number in range(20)]
        counters = connections[0].counters
        assert counters.opened == 50
        await asyncio.gather(*(client.close() for client in clients))


async def test_over_tls_messages_and_every_end(certificate: tuple[Path, Path]) -> None:
    """TLS cannot be half closed, so the ends take another way."""
    tls = ssl.create_default_context(cafile=str(certificate[0]))
    tls.check_hostname = False
    acceptor = RecordingAcceptor()
    async with serving(acceptor, Limits(close_seconds=0.1), tick=0.02, certificate=certificate) as server:
        url = f"wss://127.0.0.1:{server.port}/v1/socket"
        async with connect(url, ssl=tls) as client:
            await client.send("x" * 65536)
            assert await client.recv() == "x" * 65536
            await client.close(4000, "bye")
            assert client.close_code == 4000
        async with connect(url, ssl=tls, max_size=None) as client:
            await client.send(bytes(65537))
            await client.wait_closed()
            assert client.close_code == 1009
        async with connect(url, ssl=tls) as client:
            recorders = [acceptor.recorders.get_nowait() for _ in range(3)]
            recorders[2].connection.close(3005, "token expired")
            await client.wait_closed()
            assert client.close_code == 3005
        async with connect(url, ssl=tls) as client:
            client.transport.pause_reading()
            recorders.append(acceptor.recorders.get_nowait())
            recorders[3].connection.write(text_frame(b"x" * 5_000_000))
            recorders[3].connection.close(3008)
            # It does not read: we cut it off.
            assert await asyncio.to_thread(recorders[3].next_closed) == (3008, "")
            client.transport.abort()
        assert [recorder.next_closed()[0] for recorder in recorders[:3]] == [4000, 1009, 3005]


async def test_no_other_path() -> None:
    async with serving(RecordingAcceptor()) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{server.port}/v2/socket")
        assert refused.value.response.status_code == 404
