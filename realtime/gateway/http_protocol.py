"""HTTP/1.1 at the edge: uvicorn's httptools protocol with everything a client controls bounded.

uvicorn parses, answers and keeps connections alive. What is added here: heads and bodies of
bounded size and time, caps for each address, responses that nobody reads, and the hand-over to WebSocket.
"""

import asyncio
import socket
import struct
import sys
from enum import Enum
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any, ClassVar
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from realtime.gateway.addresses import Networks, client_address, is_within, limit_key
from realtime.gateway.error_log import describe
from realtime.gateway.http_edge import CONNECTION, HttpEdge, HttpLimits, Peer, nothing_to_release

log = structlog.get_logger("realtime.gateway.http")

_AT_ONCE = struct.pack("ii", 1, 0)
"""`struct linger`: on, no seconds."""


def _address(transport: asyncio.BaseTransport, end: str) -> tuple[str, int] | None:
    """Host and port; None on a Unix socket."""
    address = transport.get_extra_info(end)
    return (address[0], address[1]) if isinstance(address, tuple) else None


class Refused(Exception):
    """This request ends here. `reason` names the counter."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Phase(Enum):
    IDLE = "idle"  # between requests
    HEAD = "head"
    BODY = "body"
    REFUSED = "refused"  # the answer is sent; what still arrives is thrown away


def _abort(transport: asyncio.Transport) -> None:
    """By a reset, with which the kernel throws away what it has yet to send (SO_LINGER, socket(7))."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def http_class(limits: HttpLimits, trusted_proxies: Networks = ()) -> type["GatewayHttpProtocol"]:
    """The class for uvicorn's `http=`. All its connections share `.edge`, so make one a process."""
    return type("HttpProtocol", (GatewayHttpProtocol,), {"edge": HttpEdge(limits, trusted_proxies)})


class GatewayHttpProtocol(HttpToolsProtocol):
    edge: ClassVar[HttpEdge]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self._phase = Phase.IDLE
        self._deadline = inf
        self._held = 0  # bytes fed to the parser since it last made anything of them
        self._body = 0  # bytes of the present body
        self._address: str | None = None  # what the caps count by; None: not capped
        self._release_open = nothing_to_release
        self._counted_incomplete = False
        self._via_proxy = False
        self._closing = False
        self._unsent = 0
        self._unsent_deadline = inf

    # --- the connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        # As uvicorn does; but it asks the socket for addresses that the transport knows, and each such call lets other
        # threads have the interpreter.
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = _address(transport, "sockname")
        self.client = _address(transport, "peername")
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._deadline = self.loop.time() + self.edge.limits.head_seconds
        self.edge.add(self)
        if self.client is None:
            return
        self._via_proxy = is_within(self.client[0], self.edge.trusted)
        if self._via_proxy:
            return  # its connections are those of many clients
        self._address = limit_key(self.client[0])
        release = self.edge.count_open(self.client[0])
        if release is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections")
        else:
            self._release_open = release

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_edge()
        self._release_open()
        super().connection_lost(exc)

    def _leave_edge(self) -> None:
        self.edge.connections.discard(self)
        self._count_incomplete(False)

    def check(self, now: float) -> None:
        """Once a second or so, from the edge's one timer: has this connection had its time?"""
        if self.transport.is_closing():
            self._check_closing(now)
        elif self.flow.write_paused and self._is_stalled(now):
            self.edge.refused["stalled"] += 1
            self.transport.abort()
        elif now < self._deadline:
            return
        elif self._phase is Phase.REFUSED:
            self.transport.abort()
        elif self.flow.read_paused:
            # The rest may be waiting in the kernel: it is us who do not read.
            self._deadline = now + self.edge.limits.head_seconds
        elif self._phase is Phase.IDLE:
            self.edge.refused["silent"] += 1
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"{self._phase.value}_timeout")

    def _check_closing(self, now: float) -> None:
        """`close()` waits for what is unsent, for ever if the client does not read."""
        if not self._closing:
            self._closing = True
            self._deadline = now + self.edge.limits.linger_seconds
        elif now >= self._deadline:
            self.transport.abort()

    def _is_stalled(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self._unsent_deadline = now + self.edge.limits.stalled_seconds
        return now >= self._unsent_deadline

    # --- what arrives

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        while rest and self._phase is not Phase.REFUSED:
            rest = self._feed(rest)
        if self._phase is not Phase.REFUSED:
            self._count_incomplete(self._phase is not Phase.IDLE)

    def _feed(self, data: memoryview) -> memoryview:
        """Feed as much as the head's bound allows; the rest is returned. The parser buffers without bound."""
        if self._phase is Phase.IDLE:
            self._begin()
        limit = self.edge.limits.head_bytes
        piece = data[: limit - self._held]
        self._held += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            piece = piece[: upgrade.args[0]]
            # Any other upgrade was answered as the plain request that it also is (RFC 9110, 7.8).
            upgraded = self._should_upgrade()
        except httptools.HttpParserError as error:
            self._refuse_for(error)
            return data[:0]
        else:
            upgraded = False
        rest = data[len(piece) :]
        if upgraded:
            self._hand_over(rest)
            return rest[:0]
        if self._held >= limit and self._phase is Phase.HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large")
        elif self._held >= limit and self._phase is Phase.BODY:
            self._refuse(HTTPStatus.BAD_REQUEST, "chunk_extension_or_trailer_too_large")
        return rest

    def _begin(self) -> None:
        self._phase = Phase.HEAD
        self._held = 0
        # A connection's first request has had its time running since the connection opened.
        self._deadline = min(self._deadline, self.loop.time() + self.edge.limits.head_seconds)

    def on_message_begin(self) -> None:
        if self._phase is Phase.IDLE:
            self._begin()
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"abort": partial(_abort, self.transport)}}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is Phase.HEAD:  # else it is a trailer: the application already has its headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._check_head()
        if self._via_proxy:
            self._believe_proxy()
        super().on_headers_complete()
        self._phase = Phase.BODY
        self._deadline = self.loop.time() + self.edge.limits.body_seconds
        self._held = self._body = 0

    def _check_head(self) -> None:
        """RFC 9112's rules that the parser leaves to us, the body's announced size, and when to upgrade.

        Raises Refused.
        """
        http_1_0 = self.parser.get_http_version() == "1.0"
        hosts = length = 0
        chunked = False
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = True
        origin_form = self.url.startswith(b"/")
        if hosts > 1 or (hosts == 0 and not http_1_0):  # RFC 9112, 3.2
            raise Refused(HTTPStatus.BAD_REQUEST, "host")
        if http_1_0 and chunked:  # RFC 9112, 6.1
            raise Refused(HTTPStatus.BAD_REQUEST, "framing")
        if self.parser.get_method() == b"CONNECT" or not (origin_form or httptools.parse_url(self.url).path):
            raise Refused(HTTPStatus.BAD_REQUEST, "target")
        if length > self.edge.limits.body_bytes:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large")
        if len(self.pipeline) >= self.edge.limits.pipelined:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "pipelined")
        if self.parser.should_upgrade():
            if length or chunked:  # the parser would take the body for the new protocol's bytes
                raise Refused(HTTPStatus.BAD_REQUEST, "upgrade_with_body")
            if self._should_upgrade() and (http_1_0 or not origin_form or self._is_answering()):
                raise Refused(HTTPStatus.BAD_REQUEST, "upgrade")

    def _believe_proxy(self) -> None:
        forwarded = {b"x-forwarded-for": [], b"x-forwarded-proto": []}  # type: dict[bytes, list[bytes]]
        for name, value in self.headers:
            if name in forwarded:
                forwarded[name].append(value)
        assert self.client is not None  # noqa: S101 - _via_proxy
        chain = b",".join(forwarded[b"x-forwarded-for"]).decode("latin-1")
        address = client_address(self.client[0], chain, self.edge.trusted)
        self.scope["client"] = self.client if address == self.client[0] else (address, 0)
        proto = b",".join(forwarded[b"x-forwarded-proto"]).rpartition(b",")[2].strip().lower()
        if proto in (b"http", b"https"):
            self.scope["scheme"] = proto.decode()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        self._body += len(body)
        if self._body > self.edge.limits.body_bytes:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = Phase.IDLE
        self._deadline = inf
        self._held = 0
        super().on_message_complete()

    def _count_incomplete(self, incomplete: bool) -> None:
        if incomplete is self._counted_incomplete or self._address is None:
            return
        self._counted_incomplete = incomplete
        if not incomplete:
            self.edge.release(self.edge.incomplete, self._address)
            return
        self.edge.incomplete[self._address] += 1
        cap = self.edge.limits.incomplete_per_address
        if cap and self.edge.incomplete[self._address] > cap:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "incomplete")

    # --- how it ends

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _refuse_for(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, Refused):
            self._refuse(cause.status, cause.reason)
        elif cause is None or isinstance(cause, httptools.HttpParserError | UnicodeError):
            self._refuse(HTTPStatus.BAD_REQUEST, "malformed")
        else:
            log.error("http_callback_failed", **describe(cause))
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "internal")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Say so where that cannot be mistaken for another request's answer, then close.

        Closing at once would reset the connection under the client's unread bytes and destroy the answer: so the
        sending half is closed, and what still arrives is thrown away for `linger_seconds`.
        """
        self.edge.refused[reason] += 1
        if self._phase is Phase.BODY:
            tellable = not self.pipeline and not self.cycle.response_started
        else:
            tellable = not self._is_answering()
        self._phase = Phase.REFUSED
        self._deadline = self.loop.time() + self.edge.limits.linger_seconds
        self._count_incomplete(False)
        self._abandon_responses()
        if tellable:
            self._write_refusal(status)
        if tellable and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _abandon_responses(self) -> None:
        """The applications learn that the client has gone, and write nothing more."""
        for cycle in (self.cycle, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self.flow.resume_writing()
        self.flow.resume_reading()

    def _write_refusal(self, status: HTTPStatus) -> None:
        headers = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        body = status.phrase.encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (status, body, headers, len(body), body)
        )

    def _upgrade_scope(self) -> dict[str, Any]:
        """uvicorn leaves an upgrade's target to the `ws=` protocol."""
        path, _, query = self.url.partition(b"?")
        return {**self.scope, "path": unquote(path.decode("ascii")), "query_string": query}

    def _hand_over(self, rest: memoryview) -> None:
        """From here on the `ws=` protocol owns the transport: it gets the head again, then what came behind it."""
        address, port = self.scope["client"] or ("", 0)
        peer = Peer(sys.intern(address), port, self.scope["scheme"] == "https", self._release_open)
        lines = [b"%b %b HTTP/1.1\r\n" % (self.scope["method"].encode(), self.url)]
        lines += [b"%b: %b\r\n" % header for header in self.headers]
        lines.append(b"\r\n")
        assert self.ws_protocol_class is not None  # noqa: S101 - _should_upgrade
        protocol: Any = self.edge.door and self.edge.door.passes(self._upgrade_scope(), peer)
        protocol = protocol or self.ws_protocol_class(  # type: ignore[call-arg]  # uvicorn's signature for `ws=`
            config=self.config, server_state=self.server_state, app_state={**self.app_state, "peer": peer}
        )
        self._leave_edge()
        self.connections.discard(self)
        # The parser holds our bound methods: a cycle that would keep both until the collector runs.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does in connection_lost
        # First, so that whatever the new protocol raises is its own end and not ours.
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(b"".join(lines))
        if rest and not self.transport.is_closing():
            protocol.data_received(bytes(rest))
