"""What holds for every request: who may ask at all, headers that keep browsers strict, and an answer to any failure."""

from collections.abc import Collection
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from realtime.config import Relay
from realtime.gateway.error_log import describe
from realtime.gateway.origins import is_local, origin_allowed
from realtime.http.answers import refusal
from rooms.errors import Rejected

log = structlog.get_logger("realtime.http")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STUDIO = "/studio/"
STUDIO_HEADERS = {
    "Permissions-Policy": "camera=(self), display-capture=(self), geolocation=(), microphone=(self), payment=(), usb=()"
}
"""Of the one page that is to use cameras."""


def content_security_policy(edge: str) -> str:
    """`edge`: where pages may fetch media from besides this server, as a source of CSP (Level 3, 2.3.1)."""
    return "; ".join((
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' data: {edge}",
        f"media-src 'self' blob: {edge}",
        f"connect-src 'self' {edge} {edge.replace('http', 'ws', 1)}",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip


def edge_source(relay: Relay, *, several: bool = False) -> str:
    """The edge's address for browsers: `[relay] edge_url`, else its port on whatever name this server has (http: in a
    policy is https: too). Where there are `several` nodes, all names beside that of `edge_url`, as a stream is fetched
    from the node that has it.
    """
    if not relay.edge_url:
        return f"http://*:{relay.edge_port}"
    parts = urlsplit(relay.edge_url)
    name, _, domain = (parts.hostname or "").partition(".")
    if several and name and "." in domain and not domain.replace(".", "").isdigit():
        return f"{parts.scheme}://*.{domain}:*"
    return f"{parts.scheme}://{parts.netloc}"


SAFE_METHODS = frozenset({"GET", "HEAD"})


class SecureHeaders:
    """Adds SECURITY_HEADERS and the policy of content to every response, STUDIO_HEADERS to those under STUDIO."""

    def __init__(self, app: ASGIApp, edge: str):
        self._app = app
        self._headers = SECURITY_HEADERS | {"Content-Security-Policy": content_security_policy(edge)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self._headers | (STUDIO_HEADERS if scope.get("path", "").startswith(STUDIO) else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Failures:
    """Answers what nobody foresaw with the protocol's `internal`. The log says where it broke, and nothing that the
    client wrote.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noticing(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        except ClientDisconnect:
            return
        except Exception as error:
            log.error("request_failed", method=scope["method"], path=scope["path"], **describe(error))  # noqa: TRY400 - tracebacks may quote what a client wrote
            if started:
                raise
            response = refusal(Rejected("internal", "Something went wrong here."))
            await response(scope, receive, send)


class Guard:
    """Refuses web pages that may not talk to this server: 403. What sends no Origin is no page of another site.

    With `dev`, every request must name this machine as its Host: a page whose own name resolves to 127.0.0.1
    (DNS rebinding) could else have tokens made for itself.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Collection[str], dev: bool):
        self._app = app
        self._allowed_origins = () if dev else allowed_origins
        self._dev = dev

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope)
        app = self._app if problem is None else refusal(Rejected("forbidden", problem))
        await app(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._dev and not is_local(host):
            return "In development mode this server only answers to localhost."
        guarded = self._dev or scope["method"] not in SAFE_METHODS or scope["path"].startswith("/v1/")
        if guarded and origin is not None and not origin_allowed(origin, host, self._allowed_origins):
            return "This origin is not allowed."
        return None
