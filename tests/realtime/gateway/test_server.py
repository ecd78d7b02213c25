import asyncio
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime.gateway.binding import bind, port_of
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import GalaxyServer, make_server, running
from tests.realtime.gateway.http_support import (
    GET,
    PATIENCE,
    UPGRADE,
    App,
    Client,
    Socket,
    nothing_to_drain,
    respond,
    until,
)


def server_of(
    app: App,
    *,
    drain: Callable[[], Awaitable[None]] = nothing_to_drain,
    drain_seconds: float = 10,
    certificate: tuple[Path, Path] | tuple[None, None] = (None, None),
    limits: HttpLimits | None = None,
) -> GalaxyServer:
    return make_server(
        app,
        ws_class=type("TestSocket", (Socket,), {"made": []}),
        http_class=http_class(limits or HttpLimits()),
        drain=drain,
        drain_seconds=drain_seconds,
        certfile=certificate[0],
        keyfile=certificate[1],
    )


@asynccontextmanager
async def connection_to(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def get(port: int, path: str) -> bytes:
    async with connection_to(port) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return (await client.response())[2]


# --- a process that gets signals


class Running:
    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    async def line(self) -> str:
        assert self.process.stdout is not None
        while True:
            line = (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode().strip()
            if " " not in line:  # else it is the log
                return line

    async def ends(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@asynccontextmanager
async def program(drain_seconds: float) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.realtime.gateway.drain_program",
        f"--drain-seconds={drain_seconds}",
        stdout=PIPE,
    )
    try:
        started = Running(process, 0)
        started.port = int(await started.line())
        yield started
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def websocket(port: int) -> connect:
    return connect(f"ws://127.0.0.1:{port}/v1/socket", compression=None, proxy=None)


async def echoes(client: ClientConnection) -> bool:
    await client.send("hello")
    return await client.recv() == "hello"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_while_still_listening_and_then_ends_the_process(sig: signal.Signals) -> None:
    async with program(drain_seconds=600) as server, websocket(server.port) as early:
        assert await get(server.port, "/readyz") == b"ready"
        server.process.send_signal(sig)
        assert await server.line() == "draining"
        assert await get(server.port, "/readyz") == b"draining"
        async with websocket(server.port) as late:
            assert await echoes(late)
            assert await echoes(early)
            assert await get(server.port, "/release") == b"released"
            for client in (early, late):
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(client.recv(), PATIENCE)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 3001
        assert await server.line() == "drained"
        assert await server.line() == "ended"
        assert await server.ends() == 0


async def test_the_process_ends_whatever_clients_do() -> None:
    """A drain without end, sockets that never read or never answer a close, responses without reader or end."""
    async with (
        program(drain_seconds=0.3) as server,
        connection_to(server.port),
        connection_to(server.port) as half,
        connection_to(server.port) as hanging,
        connection_to(server.port) as flooded,
        connection_to(server.port) as deaf,
    ):
        handshake = UPGRADE[:-2] + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        await deaf.send(handshake)
        assert (await deaf.response())[0] == 101
        for client in (flooded, deaf):
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's transport
        await half.send(b"GET / HTTP")
        await hanging.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        await flooded.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await get(server.port, "/flood-sockets") == b"flooded"
        server.process.terminate()
        assert await server.line() == "draining"
        assert await server.line() == "ended"
        assert await server.ends() == 0


async def test_a_second_signal_ends_at_once() -> None:
    async with program(drain_seconds=600) as server, websocket(server.port):
        server.process.terminate()
        assert await server.line() == "draining"
        server.process.terminate()
        assert await server.line() == "ended"
        assert await server.ends() == 0


# --- within the test's own loop


async def test_the_port_is_known_once_listening() -> None:
    server = server_of(App())
    with pytest.raises(RuntimeError, match="not listening"):
        _ = server.port
    async with running(server, bind("127.0.0.1", 0)):
        assert server.listening.is_set()
        assert server.port > 0
        assert await get(server.port, "/") == b"GET / 0"
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        await get(port, "/")


async def test_a_server_wants_sockets() -> None:
    with pytest.raises(ValueError, match="is given its sockets"):
        await server_of(App()).serve()


async def test_another_application_on_a_port_of_its_own() -> None:
    server, sockets = server_of(App()), bind("127.0.0.1", 0)
    server.also(App(slow=partial(answer, b"also")), sockets)
    port = port_of(sockets)
    async with running(server, bind("127.0.0.1", 0)):
        assert port != server.port
        assert await get(port, "/slow") == b"also"
        async with connection_to(port) as client:
            await client.send(UPGRADE)
            assert (await client.response())[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await get(port, "/")


async def answer(body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, body)


async def test_who_has_been_replaced_accepts_no_more_and_drains() -> None:
    """Another server, here in the same loop, goes on from the same socket: nobody is refused, nor is who was accepted
    before and asks only now.
    """
    (sock,) = bind("127.0.0.1", 0)
    old_server = server_of(App(slow=partial(answer, b"old")))
    new_server = server_of(App(slow=partial(answer, b"new")))
    serving = asyncio.create_task(old_server._serve([sock.dup()]))
    await old_server.listening.wait()
    async with connection_to(port_of([sock])) as client:
        assert await get(port_of([sock]), "/slow") == b"old"
        async with running(new_server, [sock]):
            old_server.yield_place()
            for _ in range(20):
                assert await get(new_server.port, "/slow") == b"new"
            await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.response())[2] == b"old"
            await asyncio.wait_for(serving, PATIENCE)
            assert await get(new_server.port, "/slow") == b"new"


async def test_a_drain_that_fails_is_logged_and_the_server_ends() -> None:
    async def broken() -> None:
        raise ValueError("s3cret")

    with capture_logs() as logs:
        async with running(server_of(App(), drain=broken), bind("127.0.0.1", 0)):
            pass
    assert [line["error"] for line in logs if line["event"] == "drain_failed"] == ["builtins.ValueError"]
    assert "s3cret" not in repr(logs)


async def test_a_drain_that_does_not_even_end_when_cancelled_is_left_behind() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    with capture_logs() as logs:
        async with running(server_of(App(), drain=stubborn, drain_seconds=0.05), bind("127.0.0.1", 0)):
            pass
    assert [line["seconds"] for line in logs if line["event"] == "drain_timeout"] == [0.05]
    release.set()


async def test_a_response_in_flight_is_finished_after_the_drain() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await finish.wait()
        await respond(send, b"whole")

    async with running(server_of(App(slow=slow)), bind("127.0.0.1", 0)) as server, connection_to(server.port) as client:
        idle = asyncio.create_task(get_and_wait_for_the_end(server.port))
        await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(begun.wait(), PATIENCE)
        server.begin_drain()
        await idle  # closed by the server: it has begun to shut down
        finish.set()
        _, headers, body = await client.response()
        assert body == b"whole"
        assert headers["connection"] == "close"
        assert await client.rest() == b""


async def get_and_wait_for_the_end(port: int) -> None:
    async with connection_to(port) as client:
        await client.send(GET)
        await client.response()
        assert await client.rest() == b""


async def test_a_signal_before_the_start_is_not_lost() -> None:
    server = server_of(App())
    server.handle_exit(signal.SIGTERM, None)
    await asyncio.wait_for(server.serve(bind("127.0.0.1", 0)), PATIENCE)
    assert not server.server_state.connections


async def test_connections_that_do_not_end_are_cut() -> None:
    async with running(server_of(App()), bind("127.0.0.1", 0)) as server, connection_to(server.port) as client:
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's transport
        (socket,) = server.server_state.connections
        socket.transport.write(b"x" * 30_000_000)
        server.begin_drain()
        await until(lambda: not server.server_state.connections)


# --- TLS


async def test_the_same_edges_over_tls(certificate: tuple[Path, Path]) -> None:
    tls = ssl.create_default_context(cafile=str(certificate[0]))
    tls.check_hostname = False
    app = App()
    limits = HttpLimits(head_seconds=0.2, linger_seconds=0.2)
    async with running(server_of(app, certificate=certificate, limits=limits), bind("127.0.0.1", 0)) as server:
        async with connection_to(server.port, tls) as client:
            await client.send(GET)
            assert (await client.response())[0] == 200
            assert app.scopes[0]["scheme"] == "https"
            await client.send(GET[:-2] + b"X: " + b"x" * 20_000)
            assert (await client.response())[0] == 431
            assert await client.rest() == b""
        async with connection_to(server.port, tls) as client:
            await client.send(b"GET")
            assert (await client.response())[0] == 408
        async with connection_to(server.port, tls) as client:
            await client.send(UPGRADE + b"first")
            assert (await client.response())[0] == 101
            assert await client.exactly(5) == b"first"
            (socket,) = server.server_state.connections
            assert socket.peer.secure  # type: ignore[union-attr]  # it is ours
        async with connection_to(server.port) as client:
            await client.send(GET)
            assert b"HTTP/1.1 200" not in await client.rest()


async def test_a_tls_handshake_has_its_time(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.gateway.server.TLS_HANDSHAKE_SECONDS", 0.1)
    async with (
        running(server_of(App(), certificate=certificate), bind("127.0.0.1", 0)) as server,
        connection_to(server.port) as client,
    ):
        assert await client.rest() == b""
