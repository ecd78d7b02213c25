"""Where a session is sent to: to the first address that its client nominates, and to another once what is sent there
has been answered.
"""

import secrets
import struct

import pytest
from aioice import stun

from relay.rtc.ice import Agent, Credentials, Party
from relay.rtc.stun import Address, local_ufrag

OURS, THEIRS = Credentials("ours", "0123456789012345678901"), Credentials("theirs", "abcdefghijabcdefghij22")
HOME, CAFE, ELSEWHERE = ("192.0.2.1", 1_000), ("198.51.100.2", 2_000), ("203.0.113.3", 3_000)


def request(*, nominates: bool = False, password: str = OURS.password, ufrag: str = OURS.ufrag) -> bytes:
    attributes = {"USERNAME": f"{ufrag}:theirs", "PRIORITY": 1, "ICE-CONTROLLING": secrets.randbits(63)}
    message = stun.Message(
        stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes | ({"USE-CANDIDATE": None} if nominates else {})
    )
    message.add_message_integrity(password.encode())
    message.add_fingerprint()
    return bytes(message)


def answer(check: bytes, password: str = THEIRS.password, kind: stun.Class = stun.Class.RESPONSE) -> bytes:
    """What a client makes of a check, which has to be one for it."""
    asked = stun.parse_message(check)
    assert asked.attributes["USERNAME"] == "theirs:ours"
    assert asked.check_message_integrity(THEIRS.password.encode())
    message = stun.Message(stun.Method.BINDING, kind, asked.transaction_id, {"XOR-MAPPED-ADDRESS": ("192.0.2.9", 9)})
    message.add_message_integrity(password.encode())
    return bytes(message)


class Stage:
    def __init__(self) -> None:
        self.agent: Agent[str] = Agent()
        self.nominations = 0
        self.party = Party("ann", OURS, THEIRS, self._nominated)
        self.agent.add(self.party)

    def _nominated(self) -> None:
        self.nominations += 1

    def comes(self, data: bytes, address: Address, now: float = 0.0) -> bool:
        """Whether it is answered with success, and nothing more."""
        kinds = [stun.parse_message(reply).message_class for reply in self.agent.receive(data, address, now)]
        return kinds == [stun.Class.RESPONSE]

    def checked(self, data: bytes, address: Address, now: float = 0.0) -> bytes:
        """The check that is sent beside the answer."""
        replied, check = self.agent.receive(data, address, now)
        assert stun.parse_message(replied).message_class is stun.Class.RESPONSE
        return check


@pytest.mark.parametrize(("before", "found"), [(0, "ours"), (15, "ours"), (16, ""), (300, "")])
def test_a_name_is_looked_for_among_the_first_attributes(before: int, found: str) -> None:
    """Each costs time, and a request of nobody may have hundreds."""
    attributes = struct.pack("!HH", 0x8050, 0) * before + struct.pack("!HH", 6, 11) + b"ours:theirs\0"
    head = struct.pack("!HHI", 1, len(attributes), 0x2112A442) + bytes(12)
    assert local_ufrag(head + attributes) == found


def test_an_address_that_was_not_nominated_is_answered_and_sent_nothing_else() -> None:
    stage = Stage()
    assert stage.comes(request(), HOME)
    assert (stage.party.address, stage.nominations) == (None, 0)
    assert stage.agent.at(HOME) == "ann", "what it sends is listened to"
    assert stage.comes(request(nominates=True), HOME)
    assert (stage.party.address, stage.nominations) == (HOME, 1)


def test_another_address_is_selected_by_an_answer_from_there_alone() -> None:
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    assert stage.comes(request(), CAFE)
    assert not stage.comes(request(nominates=True, password="x" * 22), CAFE)
    check = stage.checked(request(nominates=True), CAFE)
    assert stage.checked(request(nominates=True), CAFE)[8:20] == check[8:20], "the way may be long"
    other = stage.checked(request(nominates=True), ELSEWHERE)
    for refused in (
        answer(check, "x" * 22),
        answer(check, OURS.password),
        answer(check, kind=stun.Class.ERROR),
        answer(other),
        check,
    ):
        assert not stage.comes(refused, CAFE)
        assert stage.party.address == HOME
    stage.agent.receive(answer(check), ELSEWHERE, 0.0)
    assert stage.party.address == HOME
    assert stage.agent.receive(answer(check), CAFE, 0.0) == []
    assert (stage.party.address, stage.nominations) == (CAFE, 1)


def test_a_check_that_is_lost_is_sent_again_though_the_client_nominates_no_more() -> None:
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    stage.checked(request(nominates=True), CAFE)
    check = stage.checked(request(), CAFE, 1.0)
    assert stage.comes(request(), HOME, 1.0)
    assert stage.comes(request(), ELSEWHERE, 1.0)
    stage.agent.receive(answer(check), CAFE, 1.1)
    assert stage.party.address == CAFE
    assert stage.comes(request(), HOME, 2.0), "it is not what was nominated last"


def test_what_was_nominated_before_another_address_is_checked_no_more() -> None:
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    stage.checked(request(nominates=True), CAFE)
    assert stage.comes(request(nominates=True), HOME)
    assert stage.comes(request(), CAFE)
    stage.checked(request(nominates=True), CAFE)
    stage.checked(request(nominates=True), ELSEWHERE)
    assert stage.comes(request(), CAFE)


def test_neither_a_request_nor_an_answer_that_is_repeated_moves_it() -> None:
    """The request from elsewhere; the answer with the source address that it had."""
    stage = Stage()
    seen = request(nominates=True)
    stage.comes(seen, HOME)
    stage.checked(seen, ELSEWHERE)
    assert stage.party.address == HOME
    moved = answer(stage.checked(request(nominates=True), CAFE))
    stage.agent.receive(moved, CAFE, 0.0)
    back = answer(stage.checked(request(nominates=True), HOME))
    stage.agent.receive(back, HOME, 0.0)
    stage.agent.receive(moved, CAFE, 0.0)
    assert stage.party.address == HOME


def test_a_client_that_does_not_nominate_is_looked_for_once_it_is_silent_where_it_was() -> None:
    """As behind a NAT that has forgotten its port: consent checks go on as if nothing was."""
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    stage.comes(request(), HOME, 5.0)
    assert stage.comes(request(), CAFE, 14.0)
    check = stage.checked(request(), CAFE, 16.0)
    stage.agent.receive(answer(check), CAFE, 16.1)
    assert stage.party.address == CAFE
    assert stage.comes(request(), CAFE, 17.0)


def test_a_session_whose_address_became_another_ones_is_not_sent_to_where_nobody_answers() -> None:
    stage = Stage()
    stage.comes(request(nominates=True), HOME)
    stage.agent.add(Party("bob", Credentials("bobs", OURS.password), THEIRS, lambda: None))
    assert stage.comes(request(ufrag="bobs"), HOME, 60.0)
    assert (stage.agent.at(HOME), stage.party.address) == ("bob", None)
    check = stage.checked(request(nominates=True), CAFE, 60.0)
    assert stage.party.address is None
    stage.agent.receive(answer(check), CAFE, 60.0)
    assert stage.party.address == CAFE


def test_an_address_is_no_sessions_by_requests_alone() -> None:
    """Which may be forged, to keep its owner out."""
    stage = Stage()
    bob = Party("bob", Credentials("bobs", OURS.password), THEIRS, lambda: None)
    stage.agent.add(bob)
    stage.comes(request(ufrag="bobs", nominates=True), ELSEWHERE)
    stage.comes(request(ufrag="bobs"), HOME)
    assert stage.comes(request(nominates=True), HOME)
    assert (stage.agent.at(HOME), stage.party.address) == ("ann", HOME)
    assert stage.agent.receive(request(ufrag="bobs"), HOME, 0.0) == []
    assert stage.agent.at(HOME) == "ann", "it is where she is sent to"
    assert stage.agent.at(ELSEWHERE) == "bob"


@pytest.mark.parametrize("nominates", [False, True])
def test_consent_is_given_by_requests_from_where_is_sent_to(nominates: bool) -> None:
    stage = Stage()
    stage.comes(request(), HOME, 1.0)
    assert stage.party.heard == 1.0
    stage.comes(request(nominates=True), HOME, 2.0)
    check = stage.checked(request(nominates=nominates), CAFE, 20.0)
    assert stage.party.heard == 2.0
    stage.comes(request(), HOME, 21.0)
    assert stage.party.heard == 21.0
    stage.agent.receive(answer(check), CAFE, 22.0)
    assert stage.party.heard == 22.0
