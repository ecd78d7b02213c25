"""Keys that sign tokens: from a secret, a PEM file or a JSON Web Key Set (RFC 7517), each bound to one algorithm."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import msgspec
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from realtime.config_checks import MIN_SECRET_BYTES

MAX_SET_BYTES = 262_144
MAX_SET_KEYS = 64
FETCH_SECONDS = 5.0
REFETCH_MS = 60_000
_RSA_MIN_BITS = 2_048
"""RFC 7518 section 3.3."""

_log = structlog.get_logger("realtime.auth.keys")


class Key(NamedTuple):
    """`kid` is None for a key that has no name: it is tried for every token of its algorithm."""

    algorithm: str
    key: Any
    kid: str | None = None


class _Jwk(Struct, omit_defaults=True):
    kty: str
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None
    crv: str | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None
    k: str | None = None
    d: str | None = None


class _Set(Struct):
    keys: list[msgspec.Raw]


def algorithm_of(key: object) -> str:
    """The one algorithm a key is used with. Raises ValueError for one that none of ours is for."""
    match key:
        case RSAPublicKey() if key.key_size >= _RSA_MIN_BITS:
            return "RS256"
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return "ES256"
        case Ed25519PublicKey():
            return "EdDSA"
        case bytes() if len(key) >= MIN_SECRET_BYTES:
            return "HS256"
    raise ValueError("a key must be RSA of 2,048 bits or more, P-256, Ed25519, or a secret of 32 bytes or more")


def pem_key(text: bytes) -> Key:
    """A public key in PEM. Raises ValueError."""
    if b"PRIVATE KEY" in text:
        raise ValueError("holds a private key; this server wants the public one")
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("holds no public key in PEM") from error
    return Key(algorithm_of(key), key)


def jwks_keys(body: bytes, *, symmetric: bool) -> tuple[Key, ...]:
    """The usable keys of a JSON Web Key Set; others are passed over, as RFC 7517 section 5 says.

    `symmetric` is for sets that are not public. Raises ValueError where the set is none, or no key is usable.
    """
    if len(body) > MAX_SET_BYTES:
        raise ValueError(f"the key set is larger than {MAX_SET_BYTES} bytes")
    try:
        members = msgspec.json.decode(body, type=_Set).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no JSON Web Key Set: {error}") from error
    if len(members) > MAX_SET_KEYS:
        raise ValueError(f"the key set has more than {MAX_SET_KEYS} keys")
    keys = []
    for number, member in enumerate(members):
        try:
            keys.append(_jwk_key(member, symmetric=symmetric))
        except (ValueError, RecursionError, jwt.PyJWTError) as error:
            _log.info("jwk_passed_over", number=number, reason=str(error))
    if not keys:
        raise ValueError("the key set holds no key that this server can use")
    return tuple(keys)


def _jwk_key(member: msgspec.Raw, *, symmetric: bool) -> Key:
    jwk = msgspec.json.decode(member, type=_Jwk)
    if jwk.use not in (None, "sig") or (jwk.key_ops is not None and "verify" not in jwk.key_ops):
        raise ValueError("not for signatures")
    if jwk.d is not None:
        raise ValueError("a private key")
    if jwk.kty == "oct" and not symmetric:
        raise ValueError("a secret in a public set")
    if jwk.alg not in (None, "HS256", "RS256", "ES256", "EdDSA"):
        raise ValueError("another algorithm")
    found = jwt.PyJWK(msgspec.to_builtins(jwk))
    if algorithm_of(found.key) != found.algorithm_name:
        raise ValueError("the key is not for the algorithm it names")
    return Key(found.algorithm_name, found.key, jwk.kid)


class KeySet:
    """A JSON Web Key Set that changes: read again by `refresh`. If that fails, the keys known so far stay in use."""

    def __init__(self, source: str, read: Callable[[], Awaitable[bytes]], *, symmetric: bool) -> None:
        self.keys: tuple[Key, ...] = ()
        self.failed = False
        self._source = source
        self._read = read
        self._symmetric = symmetric
        self._last_ms: int | None = None
        self._reading: asyncio.Task[None] | None = None

    def knows(self, kid: str | None) -> bool:
        """Whether reading the set again is in vain for a token that names this key. Without a name, any key will do."""
        return bool(self.keys) if kid is None else any(key.kid == kid for key in self.keys)

    async def refresh(self, now_ms: int | None = None) -> None:
        """Read the set, once for all who wait; with `now_ms` at most once a minute. `failed` says how it went."""
        if self._reading is None:
            if now_ms is not None:
                if self._last_ms is not None and abs(now_ms - self._last_ms) < REFETCH_MS:
                    return
                self._last_ms = now_ms
            self._reading = asyncio.create_task(self._replace())
        await asyncio.shield(self._reading)

    async def _replace(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self.keys = jwks_keys(await self._read(), symmetric=self._symmetric)
            self.failed = False
        except (OSError, ValueError, httpx.HTTPError) as error:
            self.failed = True
            reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
            _log.warning("jwks_unavailable", source=self._source, reason=reason, keys=len(self.keys))
        finally:
            self._reading = None

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])


def file_keys(path: Path) -> KeySet:
    """Read at once. Raises OSError and ValueError."""

    async def read() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    keys = KeySet(str(path), read, symmetric=True)
    keys.keys = jwks_keys(path.read_bytes(), symmetric=True)
    return keys


def url_keys(url: str) -> KeySet:
    """Empty until its first `refresh`."""
    trusted = httpx.create_ssl_context()  # reading the system's certificates takes tens of milliseconds: once

    async def read() -> bytes:
        body = bytearray()
        # Uncompressed, so that the bound on size is one on memory too.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(verify=trusted, timeout=FETCH_SECONDS) as client,
            client.stream("GET", url, headers=headers) as got,
        ):
            got.raise_for_status()
            async for chunk in got.aiter_raw(65_536):
                body += chunk
                if len(body) > MAX_SET_BYTES:
                    raise ValueError(f"the key set is larger than {MAX_SET_BYTES} bytes")
        return bytes(body)

    return KeySet(url, read, symmetric=False)
