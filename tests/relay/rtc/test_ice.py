"""Where a session is sent to: to the address that its client nominated last, and to no other."""

import secrets

import pytest
from aioice import stun

from relay.rtc.ice import Agent, Party
from relay.rtc.stun import Address

PASSWORD = "0123456789012345678901"
HOME, CAFE = ("192.0.2.1", 1_000), ("198.51.100.2", 2_000)


def request(*, nominates: bool = False, password: str = PASSWORD) -> bytes:
    attributes = {"USERNAME": "ours:theirs", "PRIORITY": 1, "ICE-CONTROLLING": secrets.randbits(63)}
    message = stun.Message(
        stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes | ({"USE-CANDIDATE": None} if nominates else {})
    )
    message.add_message_integrity(password.encode())
    message.add_fingerprint()
    return bytes(message)


class Stage:
    def __init__(self) -> None:
        self.agent: Agent[str] = Agent()
        self.nominations = 0
        self.party = Party("ann", "ours", PASSWORD, self._nominated)
        self.agent.add(self.party)

    def _nominated(self) -> None:
        self.nominations += 1

    def comes(self, data: bytes, address: Address, now: float = 0.0) -> bool:
        """Whether it is answered with success."""
        answer = self.agent.request(data, address, now)
        return answer is not None and stun.parse_message(answer).message_class is stun.Class.RESPONSE


def test_an_address_that_was_not_nominated_is_answered_and_sent_nothing_else() -> None:
    stage = Stage()
    assert stage.comes(request(), HOME)
    assert (stage.party.address, stage.nominations) == (None, 0)
    assert stage.agent.at(HOME) == "ann", "what it sends is listened to"
    assert stage.comes(request(nominates=True), HOME)
    assert (stage.party.address, stage.nominations) == (HOME, 1)


def test_the_address_changes_with_a_nomination_from_the_new_one_alone() -> None:
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    stage.comes(request(), CAFE)
    assert stage.party.address == HOME
    stage.comes(request(nominates=True, password="x" * 22), CAFE)
    assert stage.party.address == HOME
    stage.comes(request(nominates=True), CAFE)
    assert stage.party.address == CAFE


@pytest.mark.parametrize("nominates", [False, True])
def test_consent_is_given_by_requests_from_where_is_sent_to(nominates: bool) -> None:
    stage = Stage()
    stage.comes(request(), HOME, 1.0)
    assert stage.party.heard == 1.0
    stage.comes(request(nominates=True), HOME, 2.0)
    stage.comes(request(nominates=nominates), CAFE, 20.0)
    assert stage.party.heard == (20.0 if nominates else 2.0)
    stage.comes(request(), HOME, 21.0)
    assert stage.party.heard == (20.0 if nominates else 21.0)
