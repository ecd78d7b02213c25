"""Errors are data."""

from typing import Any

import pytest

from rooms.errors import CODES, Rejected, not_found

PROTOCOL = """
    bad_request unknown_command unauthorized forbidden not_found exists too_many not_member muted banned slow_mode
    rate_limited locked entitlement_required too_long duplicate_text blocked bounced key_required key_reused
    payment_declined unavailable internal
"""


def test_the_codes_are_the_protocols() -> None:
    assert set(PROTOCOL.split()) == set(CODES)
    assert len(CODES) == len(set(CODES))


@pytest.mark.parametrize("code", CODES)
def test_retry_says_whether_the_same_command_can_succeed_later(code: Any) -> None:
    assert Rejected(code, "text").retry == (code in ("slow_mode", "rate_limited", "unavailable", "internal"))
    assert Rejected(code, "text", retry_after_ms=0).retry
    assert Rejected(code, "text", retry_after_ms=1).retry


def test_the_reply() -> None:
    plain: dict[str, Any] = {"type": "error", "code": "forbidden", "message": "No.", "retry": False}
    assert Rejected("forbidden", "No.").reply(None) == plain
    assert Rejected("forbidden", "No.").reply(7) == plain | {"id": 7}
    full = Rejected("muted", "No.", field="text", retry_after_ms=30_000).reply(7)
    assert full == {
        "type": "error",
        "id": 7,
        "code": "muted",
        "message": "No.",
        "retry": True,
        "retry_after_ms": 30_000,
        "field": "text",
    }


def test_what_is_not_there_is_answered_alike() -> None:
    assert not_found().reply(1) == not_found("room").reply(1)
    assert not_found("invite").code == "not_found"
    assert not_found("invite").message != not_found().message
