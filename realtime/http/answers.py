"""Replies of the protocol as HTTP responses."""

import math
from collections.abc import Mapping

from starlette.responses import Response

from realtime.gateway.codecs import JSON, MSGPACK, Codec
from rooms.errors import Code, Rejected

STATUS: dict[Code, int] = {
    "bad_request": 400,
    "unknown_command": 400,
    "key_required": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_member": 403,
    "muted": 403,
    "banned": 403,
    "locked": 403,
    "entitlement_required": 403,
    "not_found": 404,
    "exists": 409,
    "key_reused": 409,
    "too_long": 422,
    "duplicate_text": 422,
    "blocked": 422,
    "bounced": 422,
    "payment_declined": 422,
    "rate_limited": 429,
    "slow_mode": 429,
    "too_many": 429,
    "unavailable": 503,
    "internal": 500,
}
MEDIA_TYPES = {JSON: "application/json", MSGPACK: "application/msgpack"}


def answer(body: object, status: int = 200, codec: Codec = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """The object, for this client alone: no cache keeps it."""
    kept_nowhere = {"Cache-Control": "no-store"}
    return Response(codec.encode(body), status, kept_nowhere | dict(headers or {}), MEDIA_TYPES[codec])


def refusal(
    rejected: Rejected,
    command_id: int | None = None,
    codec: Codec = JSON,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The protocol's `error` object, with the status of its code or a more telling one."""
    status = status or STATUS[rejected.code]
    added = dict(headers or {})
    if status == 401:
        added["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 11.6.1: a 401 names the scheme
    if status in (429, 503) and rejected.retry_after_ms is not None:
        added["Retry-After"] = str(math.ceil(rejected.retry_after_ms / 1_000))
    return answer(rejected.reply(command_id), status, codec, added)
