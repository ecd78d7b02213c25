"""Fuzz STUN's requests and answers: `python -m tests.fuzz.stun --seconds 60`.

Only who knows the password is answered with success, and selects an address; whatever else comes is refused or dropped.
"""

from relay.rtc import stun
from relay.rtc.ice import Agent, Credentials, Party
from tests.fuzz.guided import run

_HEAD = bytes.fromhex("000100002112a442")
_ANSWER = bytes.fromhex("010100002112a442")
_HOME = ("127.0.0.1", 8)


def target(data: bytes) -> None:
    agent: Agent[str] = Agent()
    party = Party("owner", Credentials("ufrag", "password-of-nobody"), Credentials("x", "another-one"), lambda: None)
    agent.add(party)
    party.addresses[_HOME] = transaction = b"transaction."
    agent._by_address[_HOME] = party
    for datagram in (data, _HEAD + data, _HEAD + bytes(12) + b"\0\6\0\7ufrag:x\0" + data, _ANSWER + transaction + data):
        for address in (_HOME, ("127.0.0.1", 9)):
            replies = agent.receive(datagram, address, 0.0)
            assert all(reply[:2] == b"\1\x11" for reply in replies)
    assert agent.at(("127.0.0.1", 9)) is None
    assert party.address is None


if __name__ == "__main__":
    run(target, [(stun, "local_ufrag"), (stun, "authentic"), (stun, "is_request"), (stun, "answers")], __doc__)
