"""The quick way through the opening handshake gives the library's answers, or none."""

import re
from collections.abc import Container
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.gateway.handshake import Handshake, Refused, negotiate, negotiate_by_library
from realtime.gateway.plain_handshake import parse_plain


class Rules:
    paths: Container[str] = ("/v1/socket", "/v1/rooms/a b/stream")
    subprotocols: Container[str] = ("galaxy.v1.json", "galaxy.v1.msgpack")

    def allows_origin(self, origin: str, host: str) -> bool:
        return origin == f"http://{host}"


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ORDINARY = {
    b"Host": b"chat.example",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}
CHROMIUM = ORDINARY | {
    b"Connection": b"keep-alive, Upgrade",
    b"Origin": b"http://chat.example",
    b"Sec-WebSocket-Extensions": b"permessage-deflate; client_max_window_bits",
    b"Sec-WebSocket-Protocol": b"galaxy.v1.msgpack, galaxy.v1.json",
    b"User-Agent": b"Mozilla/5.0 (X11; Linux x86_64)",
}


def head(
    fields: dict[bytes, bytes], request: bytes = b"GET /v1/socket?token=abc HTTP/1.1", extra: bytes = b""
) -> bytes:
    return request + b"\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields.items()) + extra + b"\r\n"


def outcome(how: Any, request: bytes) -> tuple[Any, ...]:
    """What comes out, as far as it may not differ: the date may."""
    try:
        handshake, response = how(request, Rules(), "127.0.0.1")
    except Refused as refused:
        return refused.status, re.sub(rb"Date: [^\r]*", b"", refused.response())
    assert isinstance(handshake, Handshake)
    return (
        handshake.path,
        handshake.query,
        handshake.headers.raw,
        handshake.host,
        handshake.origin,
        handshake.subprotocol,
        re.sub(rb"Date: [^\r]*", b"", response),
    )


@pytest.mark.parametrize("fields", [ORDINARY, CHROMIUM, CHROMIUM | {b"connection": b"x"}])
def test_ordinary_requests_are_plain(fields: dict[bytes, bytes]) -> None:
    request = head(fields)
    assert (parse_plain(request) is not None) is (b"connection" not in fields)
    assert outcome(negotiate, request) == outcome(negotiate_by_library, request)


values = st.sampled_from([
    b"", b"websocket", b"WebSocket", b"h2c", b"Upgrade", b"upgrade, keep-alive", b"keep-alive", b",upgrade", b"13",
    b"8",    KEY, b"dGhlIHNhbXBsZSBub25jZR==", b"dGhl", b"galaxy.v1.json", b"galaxy.v1.json,galaxy.v1.msgpack",
    b"other", b"other, galaxy.v1.msgpack",
    b"galaxy.v1.json;q=1", b"http://chat.example", b"http://evil.example", b"null",
    b"a b", b"permessage-deflate",
    b"permessage-deflate; client_max_window_bits=15", b"x; y=\"z", b"0", b"chunked",
    b" x", b"\xff",
])  # fmt: skip
names = st.sampled_from([
    *CHROMIUM, b"host", b"HOST", b"Content-Length", b"Transfer-Encoding", b"X-Other", b"Bad Name", b"",
])  # fmt: skip
requests = st.sampled_from([
    b"GET /v1/socket HTTP/1.1", b"GET /v1/socket?a=b&token=%20 HTTP/1.1", b"GET /v1/rooms/a%20b/stream HTTP/1.1",
    b"GET /other HTTP/1.1", b"POST /v1/socket HTTP/1.1", b"GET /v1/socket HTTP/1.0", b"GET  /v1/socket HTTP/1.1",
    b"GET http://chat.example/v1/socket HTTP/1.1", b"get /v1/socket HTTP/1.1", b"GET /v1/socket", b"",
    b"GET /v1/\xc3\xa9 HTTP/1.1", b"GET /v1/socket#x HTTP/1.1",
])  # fmt: skip


@given(
    fields=st.dictionaries(names, values, max_size=5),
    left_out=st.sets(st.sampled_from(list(CHROMIUM)), max_size=2),
    request=requests,
    extra=st.sampled_from([b"", b"", b"X: y\r\n", b" folded\r\n", b"X:y\r\n", b"Host: two\r\n", b"X: \r\n"]),
)
@example({}, set(), b"GET /v1/socket HTTP/1.1", b"")
def test_whatever_is_asked_both_ways_give_the_same_answer(
    fields: dict[bytes, bytes], left_out: set[bytes], request: bytes, extra: bytes
) -> None:
    ordinary = {name: value for name, value in CHROMIUM.items() if name not in left_out}
    asked = head(ordinary | fields, request, extra)
    assert outcome(negotiate, asked) == outcome(negotiate_by_library, asked)
