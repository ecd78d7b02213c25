"""Passes: what a gateway gives a viewer for the edge port, as `?pass=`. The gateways' ticket secret signs them, so any
edge process reads those of any gateway.
"""

import base64
import binascii
import hmac

import msgspec
from msgspec import Struct

from realtime.auth.identity import BadToken, ExpiredToken
from relay.ports import Bearer

PASS_MS = 24 * 3_600_000
"""Long enough for every stream: whether its bearer may still watch is asked again and again."""
_LONGEST = 1_024
_MAC_BYTES = 32
_LABEL = b"pass v1:"
"""What a ticket's signature cannot be taken for."""


class Pass(Struct, frozen=True, array_like=True):
    """Its bearer may ask the edge for this room's streams."""

    room: str
    user: str
    until_ms: int
    granted: bool = False


_decoder = msgspec.msgpack.Decoder(Pass)


class Passes:
    """Signed by HMAC-SHA256, kept nowhere."""

    def __init__(self, secret: bytes) -> None:
        """`secret` as `realtime.auth.ticket_secret` gives it."""
        self._secret = secret

    def issue(self, room: str, bearer: Bearer, now_ms: int) -> str:
        """ASCII that needs no escaping in a URL."""
        until = min(now_ms + PASS_MS, bearer.until_ms) if bearer.granted else now_ms + PASS_MS
        payload = msgspec.msgpack.encode(Pass(room, bearer.user, until, bearer.granted))
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def verify(self, text: str, room: str, now_ms: int) -> Bearer:
        """Raises BadToken where it is none of ours or for another room, ExpiredToken after its time."""
        if len(text) > _LONGEST or not text.isascii():
            raise BadToken("This is no pass")
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise BadToken("This is no pass") from error
        mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise BadToken("The pass's signature is wrong")
        try:
            found = _decoder.decode(payload)
        except msgspec.DecodeError as error:  # signed by a version of this server with other fields
            raise BadToken("The pass is of another version of this server") from error
        if found.room != room:
            raise BadToken("The pass is for another room")
        if now_ms >= found.until_ms:
            raise ExpiredToken("The pass has expired")
        return Bearer(found.user, found.granted, found.until_ms if found.granted else 0)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, _LABEL + payload, "sha256")
