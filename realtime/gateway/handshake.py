"""The opening handshake (RFC 6455, section 4): the library's rules, and ours on path, origin, subprotocol. No I/O."""

import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from starlette.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from realtime.gateway.plain_handshake import Plain, parse_plain

# The library logs request lines at DEBUG, and a request line may hold `?token=`.
log = logging.getLogger("realtime.gateway.handshake.library")
log.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Handshake:
    """One valid request for an upgrade."""

    path: str
    """Percent-decoded, without the query."""
    query: str
    """Raw, without the question mark."""
    headers: Headers
    """Case-insensitive; of a repeated header `get` returns the first."""
    peer: str | None
    """The client's IP address, as the socket gives it; None on a Unix socket."""
    host: str
    origin: str | None
    subprotocol: str | None
    """The one agreed on; None where the client offered none."""


class Refused(Exception):
    """No upgrade: the HTTP status and plain-text body to answer with."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body

    def response(self) -> bytes:
        return ServerProtocol(logger=log).reject(self.status, self.body).serialize()


class _RefusedByLibrary(Refused):
    """Carries the library's own response, with the headers that its rule asks for."""

    def __init__(self, status: int, response: bytes) -> None:
        super().__init__(status, "the handshake is not valid")
        self._response = response

    def response(self) -> bytes:
        return self._response


class Rules(Protocol):
    """What a server accepts, beyond RFC 6455's own rules."""

    @property
    def paths(self) -> Container[str]:
        """Where sockets are served; any other path is 404."""

    @property
    def subprotocols(self) -> Container[str]:
        """The known ones. The client's first known offer is agreed on; none offered is fine, only unknown ones 400."""

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may connect to `host`; asked only where the client sends `Origin`. Else 403."""


def negotiate(head: bytes, rules: Rules, peer: str | None) -> tuple[Handshake, bytes]:
    """Check a request's head (through its empty line): the handshake, and the 101 response that accepts it.

    Raises Refused.
    """
    plain = parse_plain(head)
    if plain is None:
        return negotiate_by_library(head, rules, peer)
    return _accept(plain, rules, peer) or negotiate_by_library(head, rules, peer)


def _accept(plain: Plain, rules: Rules, peer: str | None) -> tuple[Handshake, bytes] | None:
    """As the library would; None where the answer is no, which is the library's to give."""
    path, _, query = plain.target.partition("?")
    path = unquote(path)
    subprotocol = next((one for one in plain.subprotocols if one in rules.subprotocols), None)
    allowed = plain.origin is None or rules.allows_origin(plain.origin, plain.host)
    if path not in rules.paths or not allowed or (plain.subprotocols and subprotocol is None):
        return None
    headers = Headers(raw=plain.headers)
    handshake = Handshake(path, query, headers, peer, plain.host, plain.origin, subprotocol)
    return handshake, plain.response(subprotocol)


def negotiate_by_library(head: bytes, rules: Rules, peer: str | None) -> tuple[Handshake, bytes]:
    """As `negotiate`, for any head."""

    def select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        for subprotocol in offered:
            if subprotocol in rules.subprotocols:
                return subprotocol
        if offered:
            raise NegotiationError("none of the offered subprotocols is known")
        return None

    library = ServerProtocol(select_subprotocol=select, logger=log)
    library.receive_data(head)
    request = next(iter(library.events_received()), None)
    if not isinstance(request, Request):
        written = b"".join(library.data_to_send())
        raise _RefusedByLibrary(431, written) if written else Refused(400, "The request is not valid HTTP.\n")
    path, _, query = request.path.partition("?")
    path = unquote(path)
    if path not in rules.paths:
        raise Refused(404, "Not found.\n")
    response = library.accept(request)
    if response.status_code != 101:
        raise _RefusedByLibrary(response.status_code, response.serialize())
    headers = Headers(
        raw=[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.raw_items()]
    )
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        raise Refused(400, "A request has one Host header.\n")
    origin = headers.get("origin")
    if origin is not None and not rules.allows_origin(origin, hosts[0]):
        raise Refused(403, "This origin is not allowed.\n")
    return Handshake(path, query, headers, peer, hosts[0], origin, library.subprotocol), response.serialize()
