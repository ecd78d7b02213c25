from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.auth import BadToken, ExpiredToken, Identity, Tickets, ticket_secret
from realtime.config import Auth, Config, Server
from tests.realtime.auth.material import NOW, SECRET

ANN = Identity(
    user="ann",
    name="Ann 安",
    roles=frozenset({"admin"}),
    rooms={"r1": "owner", "r2": "member"},
    entitlements=frozenset({"vip"}),
    issued_ms=NOW - 5,
    expires_ms=NOW + 3_600_000,
)
TICKETS = Tickets(b"s" * 32)


def test_a_ticket_names_its_user_with_the_grant_for_its_room() -> None:
    ticket = TICKETS.issue(ANN, "r1", NOW)
    assert ticket.replace("-", "").replace("_", "").isalnum()
    assert TICKETS.verify(ticket, "r1", NOW) == msgspec.structs.replace(ANN, rooms={"r1": "owner"})
    assert Tickets(b"s" * 32).verify(TICKETS.issue(ANN, "r3", NOW), "r3", NOW).rooms == {}


def test_it_is_good_for_its_room_only() -> None:
    with pytest.raises(BadToken, match="another room"):
        TICKETS.verify(TICKETS.issue(ANN, "r1", NOW), "r2", NOW)


def test_it_is_good_for_60_seconds_and_never_longer_than_the_token() -> None:
    ticket = TICKETS.issue(ANN, "r1", NOW)
    assert TICKETS.verify(ticket, "r1", NOW + 59_999)
    with pytest.raises(ExpiredToken):
        TICKETS.verify(ticket, "r1", NOW + 60_000)
    short = TICKETS.issue(msgspec.structs.replace(ANN, expires_ms=NOW + 1_000), "r1", NOW)
    with pytest.raises(ExpiredToken):
        TICKETS.verify(short, "r1", NOW + 1_000)


def test_another_secret_makes_no_good_ticket() -> None:
    with pytest.raises(BadToken, match="signature"):
        TICKETS.verify(Tickets(b"t" * 32).issue(ANN, "r1", NOW), "r1", NOW)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda content: content.hex()))
def test_any_text_is_refused_by_a_bad_token_and_nothing_else(ticket: str) -> None:
    with pytest.raises(BadToken):
        TICKETS.verify(ticket, "r1", NOW)


@given(st.integers(0, len(TICKETS.issue(ANN, "r1", NOW)) - 2), st.sampled_from("aB3-_="))
def test_a_changed_character_is_refused(at: int, char: str) -> None:
    ticket = TICKETS.issue(ANN, "r1", NOW)
    if ticket[at] != char:
        with pytest.raises(BadToken):
            TICKETS.verify(ticket[:at] + char + ticket[at + 1 :], "r1", NOW)


def test_an_endless_ticket_is_refused() -> None:
    with pytest.raises(BadToken, match="no ticket"):
        TICKETS.verify("a" * 16_385, "r1", NOW)


def test_nodes_with_one_secret_agree_and_it_is_not_the_secret_itself(tmp_path: Path) -> None:
    first = ticket_secret(Config(auth=Auth(secret=SECRET), server=Server(data=str(tmp_path / "a"))))
    assert first == ticket_secret(Config(auth=Auth(secret=SECRET), server=Server(data=str(tmp_path / "b"))))
    assert first != SECRET.encode()
    assert list(tmp_path.iterdir()) == []


def test_without_a_shared_secret_the_data_folder_keeps_one(tmp_path: Path) -> None:
    def secret(folder: str) -> bytes:
        return ticket_secret(Config(auth=Auth(jwks_file="x"), server=Server(data=str(tmp_path / folder))))

    assert secret("a") == secret("a")
    assert secret("a") != secret("b")
