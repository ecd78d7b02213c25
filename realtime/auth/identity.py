"""A verified user, the claims they come from, and why a token is refused."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rooms.ids import RoomId, UserId

Grant = Literal["owner", "moderator", "member"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_YEAR_9999 = 253_402_300_799
_Seconds = Annotated[float, Meta(ge=0, le=_YEAR_9999)]
"""A NumericDate (RFC 7519 section 2): seconds since the Unix epoch, fractions allowed."""


class BadToken(Exception):
    """A token or ticket is refused. The text says why, holds nothing of the token, and may be shown to its bearer."""


class ExpiredToken(BadToken):
    """It was good until its `exp`."""


class UnknownKey(BadToken):
    """Signed by a key that is not in the JSON Web Key Set as last read: a newer set may hold it."""


class KeysUnavailable(Exception):
    """A token's key is unknown and the key set cannot be read: neither good nor bad, to be tried again later."""


class Identity(Struct, frozen=True, kw_only=True):
    """A user as their token describes them. Times are milliseconds since the Unix epoch.

    `rooms` maps room ids to roles that the app's back end grants; `issued_ms` is for the caller to hold against the
    user's "valid after"; from `expires_ms` on (`exp` and the configured leeway) the token is no longer good.
    """

    user: str
    name: str
    avatar: str = ""
    roles: frozenset[str] = frozenset()
    rooms: dict[str, Grant] = {}
    kyc: bool = False
    tier: str = ""
    entitlements: frozenset[str] = frozenset()
    created_ms: int | None = None
    issued_ms: int | None = None
    expires_ms: int

    @property
    def admin(self) -> bool:
        return "admin" in self.roles


class _Claims(Struct):
    """The claims that docs/protocol.md names, and RFC 7519's registered ones. Optional texts and times may be null."""

    sub: UserId
    exp: _Seconds
    nbf: _Seconds | None = None
    iat: _Seconds | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    name: Annotated[str, Meta(max_length=128)] | None = None
    avatar: Annotated[str, Meta(max_length=2_048)] | None = None
    roles: frozenset[str] = frozenset()
    rooms: dict[RoomId, Grant] = {}
    kyc: bool = False
    tier: str | None = None
    entitlements: frozenset[str] = frozenset()
    created: _Seconds | None = None

    def __post_init__(self) -> None:
        for claim in ("sub", "name", "avatar"):
            if _CONTROL.search(getattr(self, claim) or ""):
                raise ValueError(f"Claim {claim} holds a control character")


_decoder = msgspec.json.Decoder(_Claims)


def identify(payload: bytes, now_ms: int, *, leeway_ms: int = 0, issuer: str = "", audience: str = "") -> Identity:
    """The user that a JWT's verified payload names.

    Raises BadToken, which names the claim, and ExpiredToken (RFC 7519 section 4.1.4: good before `exp`, not at it).
    """
    try:
        claims = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadToken(_plain(str(error))) from error
    if issuer and claims.iss != issuer:
        raise BadToken("Claim iss is not the issuer this server trusts")
    if audience and audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud or []):
        raise BadToken("Claim aud does not name this server")
    if claims.nbf is not None and now_ms + leeway_ms < claims.nbf * 1000:
        raise BadToken("Claim nbf: the token is not valid yet")
    expires_ms = _millis(claims.exp) + leeway_ms
    if now_ms >= expires_ms:
        raise ExpiredToken("The token has expired")
    return Identity(
        user=claims.sub,
        name=claims.name or claims.sub,
        avatar=claims.avatar or "",
        roles=claims.roles,
        rooms=claims.rooms,
        kyc=claims.kyc,
        tier=claims.tier or "",
        entitlements=claims.entitlements,
        created_ms=None if claims.created is None else _millis(claims.created),
        issued_ms=None if claims.iat is None else _millis(claims.iat),
        expires_ms=expires_ms,
    )


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


def _plain(text: str) -> str:
    """The decoder's text with its JSON path turned into the claim's name."""
    what, _, path = text.partition(" - at ")
    if not path:
        return what.replace("`", "").replace("Object missing required field ", "Missing claim ")
    claim = path.replace("`", "").replace("$.", "").replace("[...]", "")
    if claim == "key in rooms":
        return "Claim rooms: a key is no room id"
    return f"Claim {claim}: {what[0].lower()}{what[1:].replace('`', '')}"
