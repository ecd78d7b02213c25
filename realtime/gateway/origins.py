"""Which web pages may talk to this server: origins (RFC 6454: scheme, host and port), for WebSocket and HTTP alike."""

import re
from collections.abc import Collection

_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)")
_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origin_allowed(origin: str, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of `origin` may talk to `host` (the request's Host header): `allowed` lists the origins that may;
    where it is empty, only pages of the same host and port may.

    The schemes of page and request are not compared: behind a proxy the request's is not known.
    """
    parsed = _ORIGIN.fullmatch(origin.lower())
    if parsed is None:  # also "null", which stands for any sandboxed page
        return False
    scheme, place = parsed[1], _without_default_port(parsed[1], parsed[2])
    if allowed:
        return any(f"{scheme}://{place}" == _normal(one) for one in allowed)
    return place == _without_default_port(scheme, host.lower())


def is_local(host: str) -> bool:
    """Whether a Host header names this machine. A page that has its own name resolve to 127.0.0.1 names another."""
    return _LOCAL.fullmatch(host.lower()) is not None


def _normal(origin: str) -> str:
    scheme, _, place = origin.lower().partition("://")
    return f"{scheme}://{_without_default_port(scheme, place)}"


def _without_default_port(scheme: str, place: str) -> str:
    return place.removesuffix(_DEFAULT_PORTS.get(scheme, ""))
