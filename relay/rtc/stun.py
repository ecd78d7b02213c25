"""Binding requests of ICE (RFC 8445, RFC 8489), what a lite agent answers them with, and checks of its own."""

import struct
from ipaddress import ip_address
from secrets import randbits

from aioice import stun
from aioice.candidate import candidate_priority

Address = tuple[str, int] | tuple[str, int, int, int]
"""As the socket gives it: IPv4 or IPv6."""

_HEADER = 20
_COOKIE = 0x2112A442
_USERNAME = 0x0006
_LARGEST = 1_280
_BEFORE_USERNAME = 16
"""Attributes that are looked through for it, of the hundreds that a datagram can have: anybody may send it."""
_REQUEST, _SUCCESS = b"\0\1", b"\1\1"
_PRIORITY = candidate_priority(1, "prflx")


def is_request(data: bytes) -> bool:
    """Whether this is a Binding request, as far as its header says."""
    return _is(_REQUEST, data)


def _is(kind: bytes, data: bytes) -> bool:
    return _HEADER <= len(data) <= _LARGEST and data[:2] == kind and struct.unpack_from("!I", data, 4)[0] == _COOKIE


def local_ufrag(data: bytes) -> str:
    """The part of a request's USERNAME that names the session here; empty where there is none. Cheap: nothing else of
    the message is read.
    """
    at, end = _HEADER, len(data)
    for _ in range(_BEFORE_USERNAME):
        if at + 4 > end:
            break
        kind, length = struct.unpack_from("!HH", data, at)
        if kind == _USERNAME:
            return data[at + 4 : at + 4 + length].partition(b":")[0].decode("ascii", "replace")
        at += 4 + (length + 3 & ~3)
    return ""


def authentic(data: bytes, password: bytes) -> stun.Message | None:
    """The message, where it is sound and its MESSAGE-INTEGRITY is made with `password`."""
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error):
        return None
    return message if message.check_message_integrity(password) else None


def nominates(request: stun.Message) -> bool:
    return "USE-CANDIDATE" in request.attributes


def success(request: stun.Message, address: Address, password: bytes) -> bytes:
    host, port = address[:2]
    plain = ip_address(host.partition("%")[0])
    mapped = getattr(plain, "ipv4_mapped", None) or plain
    answer = stun.Message(
        stun.Method.BINDING,
        stun.Class.RESPONSE,
        request.transaction_id,
        {"XOR-MAPPED-ADDRESS": (str(mapped), port)},
    )
    answer.add_message_integrity(password)
    return bytes(answer)


def check(transaction: bytes, username: str, password: bytes) -> bytes:
    """A request to a client, which answers it as any of a peer's (RFC 8445, section 7.3). `transaction`: 12 bytes that
    cannot be guessed; `username` and `password`: the ufrags, the client's first, and its password.
    """
    request = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        transaction,
        {"USERNAME": username, "PRIORITY": _PRIORITY, "ICE-CONTROLLED": randbits(64)},
    )
    request.add_message_integrity(password)
    return bytes(request)


def answers(data: bytes, transaction: bytes, password: bytes) -> bool:
    """Whether this is what who knows the password answers to the check."""
    return _is(_SUCCESS, data) and data[8:_HEADER] == transaction and authentic(data, password) is not None


def unauthorised(data: bytes) -> bytes:
    """For a request of no session: who is left over from before a restart learns that it is over (RFC 8489, 9.1.3)."""
    answer = stun.Message(
        stun.Method.BINDING,
        stun.Class.ERROR,
        data[8:_HEADER],
        {"ERROR-CODE": (401, "Unauthorized")},
    )
    answer.add_fingerprint()
    return bytes(answer)
