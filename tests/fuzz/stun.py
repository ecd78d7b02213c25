"""Fuzz STUN's requests: `python -m tests.fuzz.stun --seconds 60`.

Only who knows the password is answered with success; whatever else comes is refused or dropped.
"""

from relay.rtc import stun
from relay.rtc.ice import Agent, Party
from tests.fuzz.guided import run

_HEAD = bytes.fromhex("000100002112a442")


def target(data: bytes) -> None:
    agent: Agent[str] = Agent()
    agent.add(Party("owner", "ufrag", "password-of-nobody", lambda: None))
    for request in (data, _HEAD + data, _HEAD + bytes(12) + b"\0\6\0\7ufrag:x\0" + data):
        reply = agent.request(request, ("127.0.0.1", 9), 0.0)
        assert reply is None or reply[:2] == b"\1\x11"
    assert agent.at(("127.0.0.1", 9)) is None


if __name__ == "__main__":
    run(target, [(stun, "local_ufrag"), (stun, "authentic"), (stun, "is_request")], __doc__)
