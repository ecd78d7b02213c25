"""What a command can be refused with. Errors are data: a stable code, a text for people, whether to retry."""

from typing import Any, Literal, get_args

Code = Literal[
    "bad_request",
    "unknown_command",
    "unauthorized",
    "forbidden",
    "not_found",
    "exists",
    "too_many",
    "not_member",
    "muted",
    "banned",
    "slow_mode",
    "rate_limited",
    "locked",
    "entitlement_required",
    "too_long",
    "duplicate_text",
    "blocked",
    "bounced",
    "key_required",
    "key_reused",
    "payment_declined",
    "unavailable",
    "internal",
]
CODES: tuple[Code, ...] = get_args(Code)

RETRYABLE: frozenset[Code] = frozenset({"slow_mode", "rate_limited", "unavailable", "internal"})
"""Codes after which the same command can succeed later even where no waiting time is known."""


class Rejected(Exception):
    """A command that is refused, with the reply it gets.

    `field` names the command's field (or the room's setting) at fault; `retry_after_ms` is the wait, in milliseconds,
    after which the same command can succeed. Where it is given, `retry` is true.
    """

    def __init__(self, code: Code, message: str, *, field: str | None = None, retry_after_ms: int | None = None):
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms

    @property
    def retry(self) -> bool:
        return self.retry_after_ms is not None or self.code in RETRYABLE

    def reply(self, command_id: int | None) -> dict[str, Any]:
        """The `error` object of the wire protocol; without `id` where the command had none."""
        reply: dict[str, Any] = {"type": "error"}
        if command_id is not None:
            reply["id"] = command_id
        reply |= {"code": self.code, "message": self.message, "retry": self.retry}
        if self.retry_after_ms is not None:
            reply["retry_after_ms"] = self.retry_after_ms
        if self.field is not None:
            reply["field"] = self.field
        return reply


def not_found(what: str = "room") -> Rejected:
    """The one answer for what is not there and for what the asker may not know of."""
    return Rejected("not_found", f"There is no such {what}.")
