"""ICE-lite for all sessions of a port (RFC 8445, section 2.5): no I/O, no clock.

A request's USERNAME says whose it is, its integrity that it is theirs. Only addresses from which such a request has
come are listened to, and nothing but answers and checks is sent to any but the selected one. That is the first from
which a request with USE-CANDIDATE comes (sections 7.3.1.5 and 12.1): by the DTLS handshake it shows that what is sent
to it arrives.

A request may have been repeated from elsewhere by who has seen it on its way, or its source address been forged: so
another address is selected when it has shown the same. Where one nominates, or goes on to send requests when the
selected one has fallen silent, as of a client behind a NAT that has lost its state, it is sent a check, under a number
that cannot be guessed, and again with its next request where that is lost. Only an answer from there, with the client's
integrity, makes it the selected one; a client that moves to another network loses a round trip by that. A client that
answers no checks stays where it is, and its consent to be sent to (RFC 7675) ends: only requests from the selected
address renew it.

What is left: who stands between two networks and passes checks and answers on, both ways, is taken for the client's way
to us. The stream that is sent there is encrypted, and the client's next request with USE-CANDIDATE brings it back.
"""

from collections.abc import Callable
from secrets import token_bytes
from typing import Generic, TypeVar

from msgspec import Struct

from relay.rtc import stun
from relay.rtc.stun import Address

T = TypeVar("T")

_MOST_ADDRESSES = 16
_REFUSALS_A_SECOND = 100
_REQUESTS_A_SECOND = 100
"""Of one session, authentic or not: more are dropped."""
_ALIVE = 10.0
"""Seconds without a request from its selected address, after which a session may be somewhere else."""


class Credentials(Struct, frozen=True):
    """Of one side (RFC 8445, section 5.3)."""

    ufrag: str
    password: str


class Party(Generic[T]):
    """One session's ICE: `owner` is whose it is, `address` the selected one, where to send, None where there is none;
    `nominated` is called when the first is.
    """

    def __init__(self, owner: T, ours: Credentials, theirs: Credentials, nominated: Callable[[], None]) -> None:
        self.owner: T | None = owner
        """None once an agent does not know it any more: the two would hold each other."""
        self.ufrag, self.password = ours.ufrag, ours.password.encode()
        self.peer, self.peer_password = f"{theirs.ufrag}:{ours.ufrag}", theirs.password.encode()
        """How a check is addressed to the client."""
        self.nominated: Callable[[], None] | None = nominated
        """None once it was called: from then on, an address is selected by an answer to a check."""
        self.address: Address | None = None
        self.addresses: dict[Address, bytes] = {}
        """What requests have come from, with the transaction of a check there: another one after each answer."""
        self.pending: Address | None = None
        """What was nominated last, while no check there is answered: clients may nominate once, and a check be lost."""
        self.requests, self.second = 0, 0
        self.heard = 0.0
        """When the last authentic request came from `address`, or before the first was nominated, from any: consent to
        be sent to (RFC 7675).
        """


class Agent(Generic[T]):
    """Knows sessions by their ufrag and by the addresses that they have shown themselves from. What it does with
    requests of nobody is bounded: refused, so many a second, and the rest dropped.
    """

    def __init__(self) -> None:
        self._parties: dict[str, Party[T]] = {}
        self._by_address: dict[Address, Party[T]] = {}
        self._refusals, self._second = 0, 0
        self.refused = self.dropped = 0
        """Requests that were not authentic, and answered so; those that were not answered, as they were too many."""

    def __len__(self) -> int:
        return len(self._parties)

    def add(self, party: Party[T]) -> None:
        self._parties[party.ufrag] = party

    def remove(self, party: Party[T]) -> None:
        self._parties.pop(party.ufrag, None)
        party.owner = None
        for address in party.addresses:
            if self._by_address.get(address) is party:
                del self._by_address[address]

    def at(self, address: Address) -> T | None:
        """Whose datagrams come from this address."""
        party = self._by_address.get(address)
        return party.owner if party else None

    def receive(self, data: bytes, address: Address, now: float) -> list[bytes]:
        """A datagram that begins as STUN does. Returns what to send to where it came from."""
        if not stun.is_request(data):
            self._checked(data, address, now)
            return []
        party = self._parties.get(stun.local_ufrag(data))
        if party is not None and self._too_often(party, now):
            self.dropped += 1
            return []
        request = stun.authentic(data, party.password) if party else None
        if party is None or request is None:
            return self._refuse(data, now)
        if not self._note(party, address, now):
            self.dropped += 1
            return []
        replies = [stun.success(request, address, party.password)]
        nominates = stun.nominates(request)
        if party.nominated is not None:
            party.heard = now
            if nominates:
                party.address = address
                party.nominated()
                party.nominated = None
            return replies
        if nominates:
            party.pending = address if party.address != address else None
        if party.address == address:
            party.heard = now
        elif party.pending == address or now - party.heard > _ALIVE:
            replies.append(stun.check(party.addresses[address], party.peer, party.peer_password))
        return replies

    def _checked(self, data: bytes, address: Address, now: float) -> None:
        """What is no request: an answer to a check, or of no use."""
        party = self._by_address.get(address)
        if party is not None and stun.answers(data, party.addresses[address], party.peer_password):
            party.addresses[address] = _transaction()
            party.address, party.pending, party.heard = address, None, now

    @staticmethod
    def _too_often(party: Party[T], now: float) -> bool:
        if int(now) != party.second:
            party.second, party.requests = int(now), 0
        party.requests += 1
        return party.requests > _REQUESTS_A_SECOND

    def _note(self, party: Party[T], address: Address, now: float) -> bool:
        """Returns False where the address is the selected one of another session that is alive. Source addresses can be
        forged: by requests alone nobody takes it, and nobody keeps one.
        """
        before = self._by_address.get(address)
        if before is party:
            return True
        if before is not None:
            if before.address == address and now - before.heard < _ALIVE:
                return False
            before.addresses.pop(address, None)
            before.address = None if before.address == address else before.address
        self._by_address[address] = party
        party.addresses[address] = _transaction()
        if len(party.addresses) > _MOST_ADDRESSES:
            oldest = next(other for other in party.addresses if other != party.address)
            del party.addresses[oldest], self._by_address[oldest]
        return True

    def _refuse(self, data: bytes, now: float) -> list[bytes]:
        if int(now) != self._second:
            self._second, self._refusals = int(now), 0
        self._refusals += 1
        if self._refusals > _REFUSALS_A_SECOND:
            self.dropped += 1
            return []
        self.refused += 1
        return [stun.unauthorised(data)]


def _transaction() -> bytes:
    return token_bytes(12)
