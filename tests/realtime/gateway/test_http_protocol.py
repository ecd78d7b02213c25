import asyncio
import gc
import random
import resource
import weakref
from collections import Counter

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import GatewayHttpProtocol
from tests.fuzz import http_head
from tests.realtime.gateway.http_support import (
    GET,
    PATIENCE,
    UPGRADE,
    App,
    Socket,
    connected,
    read_body,
    respond,
    serving,
    talk,
    until,
)

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
QUICK = HttpLimits(head_seconds=0.2, body_seconds=0.2, linger_seconds=0.2, stalled_seconds=0.3)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# --- requests that are served


async def test_requests_on_one_connection_are_served_one_after_the_other() -> None:
    async with serving() as served, connected(served) as client:
        for path in (b"/1", b"/2?token=x"):
            await client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % path)
            code, headers, body = await client.response()
            assert code == 200
            assert body == b"POST %b 3" % path.partition(b"?")[0]
            assert "server" not in headers


async def test_a_request_byte_by_byte() -> None:
    async with serving() as served, connected(served) as client:
        for byte in CHUNKED + b"3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n":
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await client.response())[2] == b"POST / 3"
        await until(lambda: not served.edge.incomplete)


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as served, connected(served) as client:
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(20)))
        assert [(await client.response())[2] for _ in range(20)] == [b"GET /%d 0" % n for n in range(20)]


async def test_too_deep_a_pipeline_is_cut() -> None:
    forever = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await forever.wait()

    async with serving(App(wait=wait), HttpLimits(pipelined=8)) as served:
        assert await talk(served, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" + GET * 1000) == b""
        assert served.edge.refused["pipelined"] == 1
        assert len(served.app.scopes) == 1
        forever.set()


ODD_BUT_LEGAL = (
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET //evil/p#f HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /%00%ff%2e HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
)


async def test_odd_but_legal_heads(subtests: pytest.Subtests) -> None:
    async with serving() as served:
        for head in ODD_BUT_LEGAL:
            with subtests.test(head=head):
                async with connected(served) as client:
                    await client.send(head)
                    assert (await client.response())[0] == 200


async def test_an_unknown_upgrade_is_answered_as_the_plain_request_it_also_is() -> None:
    h2c = b"GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    async with serving() as served, connected(served) as client:
        await client.send(h2c + GET)
        assert (await client.response())[2] == b"GET /h2c 0"
        assert (await client.response())[2] == b"GET / 0"


# --- requests that are not


UNSOUND = {
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
    "no header name": b"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
    "non-ASCII target": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute form without path": b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute form, broken": b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +1\r\n\r\na",
    "length overflow": POST + b"Content-Length: 1" + b"0" * 40 + b"\r\n\r\n",
    "CL.TE": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size no number": CHUNKED + b"xyz\r\n",
    "chunk size overflow": CHUNKED + b"f" * 20 + b"\r\n",
    "chunk longer than its size": CHUNKED + b"1\r\nab\r\n",
    "upgrade with body": UPGRADE[:-2] + b"Content-Length: 3\r\n\r\nabc",
    "upgrade, chunked": UPGRADE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "upgrade in HTTP/1.0": UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "upgrade in absolute form": UPGRADE.replace(b"/v1", b"http://a/v1"),
}


async def test_what_is_no_sound_request_ends_in_400_and_close(subtests: pytest.Subtests) -> None:
    with capture_logs() as logs:
        async with serving() as served:
            for name, request in UNSOUND.items():
                with subtests.test(name):
                    assert status(await talk(served, request)) == 400
                    assert status(await talk(served, *(bytes((byte,)) for byte in request))) == 400
                    assert not served.sockets
                    await until(lambda: not served.connections)
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


async def test_nothing_after_a_malformed_request_is_parsed() -> None:
    async with serving() as served:
        answer = await talk(served, b"GET / HTTP/1.1\r\nbad header\r\n\r\n" + GET * 3)
        assert answer.count(b"HTTP/1.1") == 1
        assert served.app.scopes == []


async def test_rubbish_behind_an_open_response_gets_no_answer_that_could_be_taken_for_its() -> None:
    left = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    async with serving(App(wait=wait)) as served:
        assert await talk(served, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", b"rubbish\r\n\r\n") == b""
        await asyncio.wait_for(left.wait(), PATIENCE)


# --- the size of a head


def head_of(size: int, *, in_target: bool = False) -> bytes:
    start, end = (b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n") if in_target else (GET[:-2] + b"X: ", b"\r\n\r\n")
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("in_target", [False, True])
async def test_a_head_may_have_its_bound_and_no_byte_more(in_target: bool) -> None:
    limit = HttpLimits().head_bytes
    async with serving() as served, connected(served) as client:
        await client.send(head_of(limit, in_target=in_target))
        assert (await client.response())[0] == 200
        await client.send(head_of(limit + 1, in_target=in_target))
        assert (await client.response())[0] == 431
        assert await client.rest() == b""
        assert served.edge.refused["head_too_large"] == 1


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        pytest.param(GET[:-2] + b"X: ", b"x", id="one value"),
        pytest.param(GET[:-2] + b"X", b"x", id="one name"),
        pytest.param(GET[:-2], b"X: y\r\n", id="many headers"),
        pytest.param(b"GET /", b"x", id="target"),
        pytest.param(b"", b"\r\n", id="empty lines"),
    ],
)
async def test_an_endless_head_is_not_buffered(start: bytes, repeated: bytes) -> None:
    async with serving() as served:
        assert status(await talk(served, start, *[repeated * 1000] * 40)) == 431


# --- the size of a body


async def test_a_body_may_have_its_bound_and_no_byte_more() -> None:
    async with serving(limits=HttpLimits(body_bytes=100_000)) as served, connected(served) as client:
        await client.send(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
        assert (await client.response())[2] == b"POST / 100000"
        await client.send(CHUNKED + b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n0\r\n\r\n")
        assert (await client.response())[2] == b"POST / 100000"
        requests = len(served.app.scopes)
        await client.send(POST + b"Content-Length: 100001\r\n\r\n")
        assert (await client.response())[0] == 413
        assert len(served.app.scopes) == requests


async def test_a_chunked_body_is_counted() -> None:
    gone = asyncio.Event()

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        if await read_body(receive) is None:
            gone.set()

    async with serving(App(upload=upload), HttpLimits(body_bytes=50_000)) as served, connected(served) as client:
        await client.send(CHUNKED.replace(b"/ ", b"/upload "))
        for _ in range(60):
            await client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert (await client.response())[0] == 413
        await asyncio.wait_for(gone.wait(), PATIENCE)


@pytest.mark.parametrize("start", [b"1;", b"1\r\nx\r\n0\r\nTrailer: "], ids=["extension", "trailer"])
async def test_what_is_neither_head_nor_body_is_bounded_too(start: bytes) -> None:
    async with serving() as served:
        assert status(await talk(served, CHUNKED + start, *[b"x" * 1000] * 40)) == 400


async def test_a_trailer_is_no_header() -> None:
    async with serving() as served, connected(served) as client:
        await client.send(CHUNKED + b"0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")
        assert (await client.response())[0] == 200
        assert [name for name, _ in served.app.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]


async def test_a_body_that_nobody_reads_does_not_spoil_the_next_request() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"early")

    async with serving(App(early=early)) as served, connected(served) as client:
        await client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        assert (await client.response())[2] == b"early"
        await client.send(b"x" * 300_000 + GET)
        assert (await client.response())[2] == b"GET / 0"


async def test_a_refused_client_that_still_sends_gets_to_read_why() -> None:
    async with serving() as served:
        answer = await talk(served, POST + b"Content-Length: 9000000\r\n\r\n", *[b"x" * 100_000] * 20)
        assert status(answer) == 413


# --- time


async def test_a_silent_connection_is_closed() -> None:
    async with serving(limits=QUICK) as served:
        assert await talk(served) == b""
        assert served.edge.refused["silent"] == 1


async def test_the_time_of_the_first_head_began_when_the_connection_opened() -> None:
    async with serving() as served, connected(served) as client:
        await until(lambda: len(served.edge.connections) == 1)
        (connection,) = served.edge.connections
        assert isinstance(connection, GatewayHttpProtocol)
        deadline = connection._deadline
        await client.send(b"G")
        await until(lambda: bool(served.edge.incomplete))
        assert connection._deadline == deadline


@pytest.mark.parametrize(
    ("start", "reason"),
    [(b"", "head_timeout"), (GET, "head_timeout"), (CHUNKED, "body_timeout")],
    ids=["first head", "later head", "body"],
)
async def test_a_byte_now_and_then_does_not_buy_time(start: bytes, reason: str) -> None:
    async with serving(limits=QUICK) as served, connected(served) as client:
        await client.send(start)
        if start == GET:
            assert (await client.response())[0] == 200
        drip = b"0" if reason == "body_timeout" else b"G" + b"x" * 100_000
        if reason == "head_timeout":
            drip = b"GET /" + b"x" * 10_000
        answer = asyncio.create_task(client.response())
        for byte in drip:
            if answer.done():
                break
            await client.send(bytes((byte,)))
            await asyncio.wait({answer}, timeout=0.02)
        assert (await answer)[0] == 408
        assert served.edge.refused == {reason: 1}


async def test_an_application_waiting_for_the_body_learns_that_it_will_not_come() -> None:
    gone = asyncio.Event()

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(receive) is None
        gone.set()

    async with serving(App(upload=upload), QUICK) as served:
        answer = await talk(served, b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
        assert status(answer) == 408
        await asyncio.wait_for(gone.wait(), PATIENCE)


async def test_a_response_that_has_begun_is_not_taken_for_the_refusal() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        assert await read_body(receive) is None

    async with serving(App(early=early), QUICK) as served:
        answer = await talk(served, b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert served.edge.refused == {"body_timeout": 1}


async def test_an_application_that_answers_a_refused_request_is_not_heard() -> None:
    begun, refused, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await refused.wait()
        await respond(send, b"too late")
        answered.set()

    with capture_logs() as logs:
        async with serving(App(upload=upload)) as served, connected(served) as client:
            await client.send(CHUNKED.replace(b"/ ", b"/upload "))
            await asyncio.wait_for(begun.wait(), PATIENCE)
            await client.send(b"no chunk\r\n")
            assert (await client.response())[0] == 400
            refused.set()
            await asyncio.wait_for(answered.wait(), PATIENCE)
            assert await client.rest() == b""
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


async def test_a_response_may_take_longer_than_a_request() -> None:
    answer = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await answer.wait()
        await respond(send, b"at last")

    async with serving(App(slow=slow), QUICK) as served, connected(served) as client:
        # The second request waits in the pipeline, the third half in ours and half in the client's hands.
        await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET + GET[:9])
        sweeps = asyncio.get_running_loop().time() + 3 * QUICK.head_seconds
        await until(lambda: asyncio.get_running_loop().time() > sweeps)
        answer.set()
        assert (await client.response())[2] == b"at last"
        assert (await client.response())[2] == b"GET / 0"
        await client.send(GET[9:])
        assert (await client.response())[2] == b"GET / 0"


async def test_an_idle_connection_is_kept_for_a_while_only() -> None:
    async with serving(keep_alive_seconds=1) as served, connected(served) as client:
        await client.send(GET)
        assert (await client.response())[0] == 200
        assert await client.rest() == b""
        assert not served.edge.refused


async def test_a_client_that_reads_nothing_holds_neither_memory_nor_its_connection() -> None:
    buffered: list[int] = []
    ended = asyncio.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        (connection,) = served.edge.connections
        assert isinstance(connection, GatewayHttpProtocol)
        while not connection.transport.is_closing():
            await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
            buffered.append(connection.transport.get_write_buffer_size())
        ended.set()

    async with serving(App(flood=flood), QUICK) as served, connected(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's transport
        await client.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(ended.wait(), PATIENCE)
        assert served.edge.refused == {"stalled": 1}
        assert max(buffered) < 65_536 + 51_000
        await until(lambda: not served.connections)


async def test_a_closed_connection_whose_client_reads_nothing_is_cut() -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x" * 30_000_000)

    async with serving(App(large=large), QUICK) as served, connected(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's transport
        await client.send(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await until(lambda: len(served.connections) == 1)
        await until(lambda: not served.connections)


# --- caps for an address


async def test_only_so_many_requests_of_an_address_may_be_incomplete() -> None:
    async with (
        serving(limits=HttpLimits(incomplete_per_address=2)) as served,
        connected(served) as first,
        connected(served) as second,
        connected(served) as third,
    ):
        await first.send(b"GET / ")
        await second.send(CHUNKED)
        await until(lambda: served.edge.incomplete["127.0.0.1"] == 2)
        assert status(await talk(served, b"GET / ")) == 503
        assert served.edge.refused == {"incomplete": 1}
        await third.send(GET)
        assert (await third.response())[0] == 200
        await second.send(b"0\r\n\r\n")
        assert (await second.response())[0] == 200
        await third.send(b"GET / ")
        await until(lambda: served.edge.incomplete["127.0.0.1"] == 2)
        third.writer.transport.abort()
        await first.send(GET.removeprefix(b"GET / "))
        assert (await first.response())[0] == 200
        await until(lambda: not served.edge.incomplete)


async def test_only_so_many_connections_of_an_address_may_be_open_and_websockets_count() -> None:
    async with serving(limits=HttpLimits(open_per_address=2)) as served, connected(served) as first:
        await first.send(GET)
        await first.response()
        async with connected(served) as second:
            await second.send(UPGRADE)
            assert (await second.response())[0] == 101
            assert status(await talk(served, GET)) == 503
            assert served.edge.refused == {"connections": 1}
        await until(lambda: served.edge.open["127.0.0.1"] == 1)
        async with connected(served) as third:
            await third.send(GET)
            assert (await third.response())[0] == 200
        await until(lambda: served.edge.open["127.0.0.1"] == 1)
    assert not served.edge.open


async def test_without_a_cap_nothing_is_counted_or_refused() -> None:
    async with serving(limits=HttpLimits(incomplete_per_address=0)) as served, connected(served) as first:
        await first.send(b"GET /")
        async with connected(served) as second:
            await second.send(GET)
            assert (await second.response())[0] == 200
        assert not served.edge.open
        assert not served.edge.refused


# --- behind a proxy


async def test_a_trusted_proxy_names_the_client() -> None:
    forwarded = b"X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\nX-Forwarded-For: 10.0.0.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    limits = HttpLimits(incomplete_per_address=1, open_per_address=1)
    async with serving(limits=limits, trusted=("127.0.0.0/8", "10.0.0.0/8")) as served, connected(served) as client:
        await client.send(GET[:-2] + forwarded)
        assert (await client.response())[0] == 200
        assert served.app.scopes[0]["client"] == ("9.9.9.9", 0)
        assert served.app.scopes[0]["scheme"] == "https"
        await client.send(GET)
        assert (await client.response())[0] == 200
        assert served.app.scopes[1]["client"][0] == "127.0.0.1"
        async with connected(served) as another:
            await another.send(UPGRADE[:-2] + forwarded)
            assert (await another.response())[0] == 101
        (socket,) = served.sockets
        assert (socket.peer.address, socket.peer.port, socket.peer.secure) == ("9.9.9.9", 0, True)


async def test_anybody_else_names_nobody() -> None:
    forged = b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n"
    async with serving(trusted=("10.0.0.0/8",)) as served, connected(served) as client:
        await client.send(GET[:-2] + forged)
        assert (await client.response())[0] == 200
        assert served.app.scopes[0]["client"] == client.writer.get_extra_info("sockname")
        assert served.app.scopes[0]["scheme"] == "http"
        await client.send(UPGRADE[:-2] + forged)
        assert (await client.response())[0] == 101
        (socket,) = served.sockets
        assert (socket.peer.address, socket.peer.port) == client.writer.get_extra_info("sockname")
        assert not socket.peer.secure


# --- upgrades


async def test_bytes_that_come_with_the_handshake_are_not_lost() -> None:
    async with serving() as served, connected(served) as client:
        await client.send(UPGRADE + b"first")
        assert (await client.response())[0] == 101
        assert await client.exactly(5) == b"first"
        await client.send(b"second")
        assert await client.exactly(6) == b"second"
        assert served.sockets[0].head.lower() == UPGRADE.lower()
        assert not served.edge.connections
        assert served.connections == {served.sockets[0]}


async def test_a_handshake_byte_by_byte() -> None:
    async with serving() as served, connected(served) as client:
        for byte in UPGRADE + b"first":
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await client.response())[0] == 101
        assert await client.exactly(5) == b"first"


async def test_a_connection_may_upgrade_after_requests() -> None:
    async with serving() as served, connected(served) as client:
        await client.send(GET)
        await client.response()
        await client.send(UPGRADE)
        assert (await client.response())[0] == 101


async def test_an_upgraded_connection_has_no_deadline_of_ours() -> None:
    async with serving(limits=QUICK, keep_alive_seconds=1) as served, connected(served) as client:
        await client.send(GET)
        await client.response()
        await client.send(UPGRADE)
        await client.response()
        later = asyncio.get_running_loop().time() + 1.2
        await until(lambda: asyncio.get_running_loop().time() > later)
        await client.send(b"still here")
        assert await client.exactly(10) == b"still here"


@pytest.mark.parametrize("apart", [True, False])
async def test_no_upgrade_while_a_response_is_open(apart: bool) -> None:
    begun = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await read_body(receive)
        assert (await receive())["type"] == "http.disconnect"

    async with serving(App(wait=wait)) as served, connected(served) as client:
        request = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
        if apart:
            await client.send(request)
            await asyncio.wait_for(begun.wait(), PATIENCE)
            await client.send(UPGRADE)
        else:
            await client.send(request + UPGRADE)
        assert await client.rest() == b""
        assert served.sockets == []
        assert served.edge.refused == {"upgrade": 1}


async def test_nothing_of_http_is_kept_after_the_upgrade() -> None:
    gc.collect()
    gc.disable()
    try:
        async with serving() as served, connected(served) as client:
            await client.send(GET)
            await client.response()
            (connection,) = served.edge.connections
            kept = weakref.ref(connection)
            del connection
            await client.send(UPGRADE)
            await client.response()
            await until(lambda: kept() is None)
    finally:
        gc.enable()


# --- errors of ours


async def test_what_a_protocol_raises_is_logged_without_the_token() -> None:
    class Broken(Socket):
        def data_received(self, data: bytes) -> None:
            raise ValueError(data.decode())

    with capture_logs() as logs:
        async with serving(ws_class=Broken) as served:
            assert await talk(served, UPGRADE) == b""
            await until(lambda: not served.connections)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["error"] == "builtins.ValueError"
    assert "data_received" in line["where"][-1]
    assert "s3cret" not in repr(logs)


async def test_what_the_application_raises_is_logged_without_the_token() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(scope["query_string"])

    with capture_logs() as logs:
        async with serving(App(broken=broken)) as served, connected(served) as client:
            await client.send(b"GET /broken?token=s3cret HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.response())[0] == 500
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["error"] == "builtins.ValueError"
    assert "s3cret" not in repr(logs)


async def test_a_fault_of_ours_in_the_parsers_callbacks_is_not_taken_for_the_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: HttpToolsProtocol) -> None:
        raise KeyError(self.url)

    monkeypatch.setattr(HttpToolsProtocol, "on_headers_complete", broken)
    with capture_logs() as logs:
        async with serving() as served:
            assert status(await talk(served, b"GET /?token=s3cret HTTP/1.1\r\nHost: a\r\n\r\n")) == 500
    assert [line["error"] for line in logs if line["event"] == "http_callback_failed"] == ["builtins.KeyError"]
    assert "s3cret" not in repr(logs)


# --- all at once


async def test_half_open_requests_and_endless_heads_leave_the_server_serving() -> None:
    """2,000 requests that never end, and 100 MB of headers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(limits=HttpLimits(incomplete_per_address=0, linger_seconds=0.1)) as served:
        halves = []
        for number in range(2000):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            writer.write(GET[: 1 + number % (len(GET) - 1)])
            halves.append((reader, writer))
        await until(lambda: len(served.edge.incomplete) == 1 and served.edge.incomplete["127.0.0.1"] == 2000)

        async def pour() -> None:
            async with connected(served) as client:
                try:
                    await client.send(GET[:-2] + b"X: ")
                    for _ in range(100):
                        await client.send(b"x" * 100_000)
                except ConnectionError:
                    return  # refused, as it should be

        pouring = [asyncio.create_task(pour()) for _ in range(10)]
        while not all(task.done() for task in pouring):
            async with connected(served) as client:
                await client.send(GET)
                assert (await client.response())[0] == 200
        await asyncio.gather(*pouring)
        assert served.edge.refused == {"head_too_large": 10}
        for _, writer in halves:
            writer.transport.abort()
        await until(lambda: not served.connections and not served.edge.incomplete)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 100_000


def test_the_fuzz_target_on_a_few_thousand_inputs() -> None:
    rng = random.Random(20261122)
    answers: Counter[bytes] = Counter()
    sizes = []
    for _ in range(4):
        for _ in range(500):
            answers.update(http_head.run(rng.randbytes(rng.randrange(400))))
        gc.collect()
        sizes.append(len(gc.get_objects()))
    assert set(answers) >= {b"100", b"101", b"200", b"400", b"413", b"431"}
    # The first round fills caches; after that nothing of a connection stays.
    assert sizes[-1] - sizes[1] < 500


def test_the_limits_are_those_of_the_protocol_page() -> None:
    limits = HttpLimits()
    assert (limits.head_bytes, limits.head_seconds, limits.body_seconds) == (16 * 1024, 10.0, 10.0)
    assert (limits.incomplete_per_address, limits.open_per_address) == (100, 0)
