import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.auth import BadToken, ExpiredToken, Tickets
from realtime.edge.passes import PASS_MS, Passes
from relay.ports import Bearer

NOW = 1_795_367_182_123
SECRET = b"s" * 32
PASSES = Passes(SECRET)
PASS = PASSES.issue("r1", Bearer("ann"), NOW)


def test_a_pass_names_its_user_for_its_room_for_a_day() -> None:
    assert PASS.replace("-", "").replace("_", "").isalnum()
    assert Passes(SECRET).verify(PASS, "r1", NOW + PASS_MS - 1) == Bearer("ann")
    with pytest.raises(ExpiredToken):
        PASSES.verify(PASS, "r1", NOW + PASS_MS)
    with pytest.raises(BadToken, match="another room"):
        PASSES.verify(PASS, "r2", NOW)


def test_a_pass_by_a_grant_ends_with_the_token_that_has_it() -> None:
    granted = Bearer("ann", True, NOW + 1_000)
    text = PASSES.issue("r1", granted, NOW)
    assert PASSES.verify(text, "r1", NOW + 999) == granted
    with pytest.raises(ExpiredToken):
        PASSES.verify(text, "r1", NOW + 1_000)


def test_another_secret_makes_no_good_pass() -> None:
    with pytest.raises(BadToken, match="signature"):
        Passes(b"t" * 32).verify(PASS, "r1", NOW)


def test_neither_a_ticket_nor_what_is_signed_like_one_is_a_pass() -> None:
    payload = msgspec.msgpack.encode(("r1", "ann", NOW + 1))
    signed = hmac.digest(SECRET, payload, "sha256") + payload
    with pytest.raises(BadToken):
        PASSES.verify(msgspec.json.encode(signed).decode().strip('"'), "r1", NOW)
    with pytest.raises(BadToken):
        Tickets(SECRET).verify(PASS, "r1", NOW)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda content: content.hex()))
def test_any_text_is_refused_by_a_bad_token_and_nothing_else(text: str) -> None:
    with pytest.raises(BadToken):
        PASSES.verify(text, "r1", NOW)


@given(st.integers(0, len(PASS) - 2), st.sampled_from("aB3-_="))
def test_a_changed_character_is_refused(at: int, char: str) -> None:
    if PASS[at] != char:
        with pytest.raises(BadToken):
            PASSES.verify(PASS[:at] + char + PASS[at + 1 :], "r1", NOW)
