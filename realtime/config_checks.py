"""What a setting's type does not say: each check raises ValueError with the problem."""

import ipaddress
import re
import ssl
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moderation.words import MAX_WORD, MAX_WORDS

if TYPE_CHECKING:
    from realtime.config import Config

MAX_PORT = 65_535
MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: an HS256 key is at least as long as the hash."""


def _secret(value: str) -> None:
    if value.lstrip().startswith("-----BEGIN"):
        raise ValueError("is a PEM text; name its file in public_key_file")
    if value and len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long")


def _origins(value: tuple[str, ...]) -> None:
    for origin in value:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"{origin!r} is no origin: write scheme://host or scheme://host:port, without a path")


def _networks(value: tuple[str, ...]) -> None:
    for network in value:
        ipaddress.ip_network(network)


def _addresses(value: tuple[str, ...]) -> None:
    for address in value:
        ipaddress.ip_address(address)


def _base_url(value: str) -> None:
    parts = urlsplit(value)
    if value and not (parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment):
        raise ValueError("must be https://HOST, http:// or with a path, or empty for the host that was asked for")


def _turn_url(value: str) -> None:
    if value and not re.fullmatch(r"turns?:[^\s/?]+(\?transport=(udp|tcp))?", value):
        raise ValueError("must be turn:HOST:PORT or turns:HOST:PORT, or empty for none")


def _words(value: tuple[str, ...]) -> None:
    if not all(word.strip() for word in value):
        raise ValueError("an empty word would match every message")
    if len(value) > MAX_WORDS:
        raise ValueError(f"{len(value)} words; at most {MAX_WORDS} fit")
    long = next((word for word in value if len(word) > MAX_WORD), None)
    if long is not None:
        raise ValueError(f"{long[:20]!r}… is longer than {MAX_WORD} characters")


def _jwks_url(value: str) -> None:
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))
    if value and not (secure and parts.hostname):
        raise ValueError("must be an https:// URL (http:// only to this machine)")


def _file_url(scheme: str, *, or_default: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value and not re.match(rf"{scheme}:///.", value):
            raise ValueError(f"must be {scheme}:///PATH, or empty for {or_default}")

    return check


POSTGRESQL = ("postgresql://", "postgres://")
"""How URLs of PostgreSQL begin."""


def _store_url(value: str) -> None:
    if value.startswith(POSTGRESQL):
        _postgresql_url(value)
    elif value and not re.match(r"sqlite:///.", value):
        raise ValueError(
            "must be sqlite:///PATH or postgresql://USER@HOST/DATABASE, or empty for galaxy.db in the data folder"
        )


def _postgresql_url(value: str) -> None:
    import psycopg  # noqa: PLC0415  # a tenth of a second, for those who use it
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        names = conninfo_to_dict(value)
    except psycopg.Error as error:
        reason = str(error).partition(":")[0].strip()  # what follows may be the password
        raise ValueError(f"is no URL of PostgreSQL: {reason}") from error
    if not names.get("dbname"):
        raise ValueError("names no database: write postgresql://USER@HOST/DATABASE")


REDIS = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")
"""How URLs of Redis begin."""


def _broker_url(value: str) -> None:
    if value == "memory://":
        return
    if not value.startswith(REDIS):
        raise ValueError("must be memory://, redis://HOST, rediss://HOST (TLS) or redis+cluster://HOST:PORT,HOST:PORT")
    from realtime.brokers.redis_servers import servers  # noqa: PLC0415  # its driver, for those who use it

    try:
        servers(value, 1.0)
    except (ValueError, TypeError) as error:
        raise ValueError(f"is no URL of Redis: {error}") from error


def _prefix(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens or underscores")


def _tracing_url(value: str) -> None:
    if not value:
        return
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be http://HOST:4318/v1/traces or the like, or empty for no traces")
    try:
        installed = find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        raise ValueError("needs the extra `tracing`: pip install 'galaxy-live[tracing]'")


CHECKS: dict[tuple[str, str], Callable[[Any], None]] = {
    ("server", "allowed_origins"): _origins,
    ("server", "trusted_proxies"): _networks,
    ("auth", "secret"): _secret,
    ("auth", "jwks_url"): _jwks_url,
    ("secrets", "key"): _secret,
    ("relay", "public_addresses"): _addresses,
    ("relay", "public_url"): _base_url,
    ("relay", "edge_url"): _base_url,
    ("relay", "push_networks"): _networks,
    ("relay", "turn_url"): _turn_url,
    ("store", "url"): _store_url,
    ("broker", "url"): _broker_url,
    ("broker", "prefix"): _prefix,
    ("tracing", "url"): _tracing_url,
    ("records", "url"): _file_url("jsonl", or_default="records/ in the data folder"),
    ("moderation", "blocked_words"): _words,
    ("moderation", "masked_words"): _words,
}


def check_together(config: "Config") -> Iterator[tuple[str, str, str]]:
    """What two settings make of each other: section, key and problem."""
    if config.auth.jwks_file and config.auth.jwks_url:
        yield "auth", "jwks_url", "jwks_file is set too; one of them"
    yield from _workers(config)
    yield from _relay(config)
    if config.broker.on_redis and not config.store.on_postgresql:
        yield "broker", "url", "is for several gateways, which need [store] url = postgresql://... as well"
    if config.limits.body_bytes < config.limits.message_bytes:
        yield "limits", "body_bytes", "must be at least message_bytes: a command fits in a request too"
    if config.limits.commands_burst < config.limits.commands_per_second:
        yield "limits", "commands_burst", "must be at least commands_per_second"
    if config.limits.joins_burst < config.limits.joins_per_second:
        yield "limits", "joins_burst", "must be at least joins_per_second"


def _relay(config: "Config") -> Iterator[tuple[str, str, str]]:
    relay = config.relay
    if relay.turn_url and not relay.turn_secret:
        yield "relay", "turn_secret", "is empty: coturn's static-auth-secret, with which clients are let in at turn_url"
    if relay.rtmp_certificate:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                relay.rtmp_certificate, relay.rtmp_key or None
            )
        except OSError as error:
            yield "relay", "rtmp_certificate", f"cannot be used with rtmp_key: {error}"


def _workers(config: "Config") -> Iterator[tuple[str, str, str]]:
    workers, media = config.server.workers, config.relay.processes
    processes = workers + media + bool(media)
    last = config.server.admin_port + processes - 1
    if workers > 1 and not config.store.on_postgresql:
        yield "server", "workers", f"{workers} gateways need PostgreSQL: set [store] url to postgresql://..."
    if workers > 1 and not config.broker.on_redis:
        yield "server", "workers", f"{workers} gateways need Redis between them: set [broker] url to redis://..."
    if config.server.admin_port and last > MAX_PORT:
        yield "server", "admin_port", f"with {processes} processes must be at most {MAX_PORT + 1 - processes}"
