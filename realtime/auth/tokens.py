"""JSON Web Tokens (RFC 7519): verified against the configured keys, and issued for developers and the command line."""

import base64
from asyncio import sleep
from collections.abc import Iterable, Mapping
from pathlib import Path

import jwt
import msgspec
from jwt.api_jws import PyJWS
from msgspec import Struct

from realtime.auth.identity import BadToken, ExpiredToken, Identity, KeysUnavailable, UnknownKey, identify
from realtime.auth.keys import Key, KeySet, algorithm_of, file_keys, pem_key, url_keys
from realtime.auth.verified import Verified
from realtime.config import Auth, ConfigError

MAX_TOKEN = 8_192
_RETRY_SECONDS = 60
_ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")


class _Header(Struct):
    """What chooses the key (RFC 7515 section 4.1); PyJWT reads the header again, strictly, against the key chosen."""

    alg: str
    kid: str | None = None


_header_decoder = msgspec.json.Decoder(_Header)


class Authenticator:
    """Verifies tokens. Each key is bound to one algorithm, and a token's header only ever chooses among such keys:
    `none`, another algorithm than the key's, and keys that the token itself brings or points to (`jwk`, `jku`, `x5u`)
    have no effect.

    A good signature is not checked again until the key set is read anew; times, issuer and audience always are.
    """

    def __init__(self, auth: Auth) -> None:
        """Raises ConfigError, which names the setting, where a key file cannot be used."""
        self._auth = auth
        self._jws = PyJWS(algorithms=_ALGORITHMS)
        self._fixed: list[Key] = []
        self._set: KeySet | None = url_keys(auth.jwks_url) if auth.jwks_url else None
        self._verified = Verified()
        self._verified_by: tuple[Key, ...] = ()
        if auth.secret:
            secret = auth.secret.encode()
            self._fixed.append(Key(algorithm_of(secret), secret))
        try:
            setting = "public_key_file"
            if auth.public_key_file:
                self._fixed.append(pem_key(Path(auth.public_key_file).read_bytes()))
            setting = "jwks_file"
            if auth.jwks_file:
                self._set = file_keys(Path(auth.jwks_file))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"[auth] {setting}: {getattr(auth, setting)}: {reason}") from error

    def verify(self, token: str, now_ms: int) -> Identity:
        """Who the token names, by the keys known now.

        Raises ExpiredToken; UnknownKey, where `verify_fresh` may know more; BadToken for all else.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            raise BadToken(f"The token is longer than {MAX_TOKEN} bytes" if token.isascii() else "This is no token")
        if self._set is not None and self._set.keys is not self._verified_by:
            self._verified.clear()
            self._verified_by = self._set.keys
        known = self._verified.get(token)
        payload = known if known is not None else self._payload(token)
        try:
            identity = identify(
                payload,
                now_ms,
                leeway_ms=self._auth.leeway_seconds * 1000,
                issuer=self._auth.issuer,
                audience=self._auth.audience,
            )
        except ExpiredToken:
            self._verified.drop(token)
            raise
        if known is None:
            self._verified.add(token, payload)
        return identity

    async def verify_fresh(self, token: str, now_ms: int) -> Identity:
        """As `verify`, but an unknown key has the key set read again first, at most once a minute.

        Raises KeysUnavailable where the key is unknown and the set could not be read.
        """
        try:
            return self.verify(token, now_ms)
        except UnknownKey:
            if self._set is None:
                raise
        await self._set.refresh(now_ms)
        try:
            return self.verify(token, now_ms)
        except UnknownKey as error:
            if self._set.failed:
                raise KeysUnavailable("The keys that sign tokens cannot be read at the moment") from error
            raise

    async def keep_keys_fresh(self) -> None:
        """Reads the key set at once and then regularly, until cancelled; returns at once where there is none."""
        while self._set is not None:
            await self._set.refresh()
            every = self._auth.jwks_refresh_seconds
            await sleep(min(every, _RETRY_SECONDS) if self._set.failed else every)

    async def close(self) -> None:
        if self._set is not None:
            await self._set.close()

    def _payload(self, token: str) -> bytes:
        """The payload, its signature checked."""
        try:
            header = _header_decoder.decode(_base64url(token.partition(".")[0]))
        except (ValueError, RecursionError) as error:  # msgspec's and binascii's errors are ValueErrors
            raise BadToken("This is no token") from error
        candidates = [key for key in self._keys(header.kid) if key.algorithm == header.alg]
        for key in candidates:
            try:
                payload: bytes = self._jws.decode(token, key.key, algorithms=[key.algorithm])
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError as error:
                raise BadToken("This is no token") from error
            return payload
        if self._set is not None and not self._set.knows(header.kid):
            raise UnknownKey("The token is signed by an unknown key")
        raise BadToken("The token's signature is wrong" if candidates else "The token's algorithm is not the key's")

    def _keys(self, kid: str | None) -> Iterable[Key]:
        yield from self._fixed
        for key in self._set.keys if self._set else ():
            if kid is None or key.kid is None or key.kid == kid:
                yield key


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def issue(
    secret: str,
    user: str,
    *,
    now_ms: int,
    ttl_seconds: int = 3_600,
    name: str = "",
    roles: Iterable[str] = (),
    rooms: Mapping[str, str] | None = None,
    issuer: str = "",
    audience: str = "",
    **claims: object,
) -> str:
    """An HS256 token; `claims` are further ones (`avatar`, `kyc`, `tier`, `entitlements`, `created`).

    Its `iat` has milliseconds, so that one issued right after logging out everywhere counts as newer.
    Raises BadToken where it would not be accepted, naming the claim.
    """
    wanted = {"name": name, "roles": list(roles), "rooms": dict(rooms or {}), "iss": issuer, "aud": audience}
    times = {"iat": now_ms / 1000, "exp": now_ms / 1000 + ttl_seconds}
    token = jwt.encode({"sub": user, **times, **{k: v for k, v in wanted.items() if v}, **claims}, secret, "HS256")
    Authenticator(Auth(secret=secret, issuer=issuer, audience=audience)).verify(token, now_ms)
    return token
