"""Tickets: for what can send no header (EventSource, HLS, media sockets), as `?ticket=`."""

import base64
import binascii
import hmac

import msgspec
from msgspec import Struct

from realtime.auth.identity import BadToken, ExpiredToken, Identity

TICKET_MS = 60_000
_MAX_TICKET = 16_384
_MAC_BYTES = 32


class _Ticket(Struct, array_like=True):
    room: str
    until_ms: int
    identity: Identity


_decoder = msgspec.msgpack.Decoder(_Ticket)


class Tickets:
    """Signed by HMAC-SHA256 and kept nowhere, so any node with the same secret reads them; good for 60 s."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, identity: Identity, room: str, now_ms: int) -> str:
        """For this room only, until 60 s from now or the token's own end; it carries the grant for no other room."""
        grant = {room: identity.rooms[room]} if room in identity.rooms else {}
        ticket = _Ticket(
            room=room,
            until_ms=min(now_ms + TICKET_MS, identity.expires_ms),
            identity=msgspec.structs.replace(identity, rooms=grant),
        )
        payload = msgspec.msgpack.encode(ticket)
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def verify(self, ticket: str, room: str, now_ms: int) -> Identity:
        """Who holds it. Raises BadToken where it is none of ours or for another room, ExpiredToken after its time."""
        if len(ticket) > _MAX_TICKET or not ticket.isascii():
            raise BadToken("This is no ticket")
        try:
            signed = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise BadToken("This is no ticket") from error
        mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise BadToken("The ticket's signature is wrong")
        try:
            content = _decoder.decode(payload)
        except msgspec.DecodeError as error:  # signed by a version of this server with other fields
            raise BadToken("The ticket is of another version of this server") from error
        if content.room != room:
            raise BadToken("The ticket is for another room")
        if now_ms >= content.until_ms:
            raise ExpiredToken("The ticket has expired")
        return content.identity

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, "sha256")
