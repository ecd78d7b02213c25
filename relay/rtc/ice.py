"""ICE-lite for all sessions of a port (RFC 8445, section 2.5): no I/O, no clock.

A request's USERNAME says whose it is, its integrity that it is theirs. Only addresses from which such a request has
come are listened to, and nothing but answers to requests is sent to any but the selected one: that of the latest
request with USE-CANDIDATE (sections 7.3.1.5 and 12.1). A client that moves to another network nominates anew.

What is left to a session's own owner, and to who has seen one of its requests on the way and repeats it: a lite agent
sends no checks, so a source address that was forged is taken for where the request came from. The first address has
shown by the DTLS handshake that what is sent to it arrives; a later one has not. Such a one can have the session's
encrypted stream sent to somebody else, and nothing more than that, for as long as they go on to send authentic requests
in that name, each by which the consent to be sent to (RFC 7675) is renewed: requests from other addresses do not renew
it.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from relay.rtc import stun
from relay.rtc.stun import Address

T = TypeVar("T")

_MOST_ADDRESSES = 16
_REFUSALS_A_SECOND = 100
_REQUESTS_A_SECOND = 100
"""Of one session, authentic or not: more are dropped."""
_ALIVE = 10.0


class Party(Generic[T]):
    """One session's ICE: `owner` is whose it is, `address` where to send, None before one was nominated; `nominated` is
    called whenever one is.
    """

    def __init__(self, owner: T, ufrag: str, password: str, nominated: Callable[[], None]) -> None:
        self.owner: T | None = owner
        """None once an agent does not know it any more: the two would hold each other."""
        self.ufrag, self.password = ufrag, password.encode()
        self.nominated = nominated
        self.address: Address | None = None
        self.addresses: dict[Address, None] = {}
        self.requests, self.second = 0, 0
        self.heard = 0.0
        """When the last authentic request came from `address`, or before there is one, from any: consent to be sent to
        (RFC 7675).
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
        """Requests that were not authentic: answered so, and not answered."""

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

    def request(self, data: bytes, address: Address, now: float) -> bytes | None:
        """A datagram that begins as STUN does. Returns what to answer."""
        if not stun.is_request(data):
            return None
        party = self._parties.get(stun.local_ufrag(data))
        if party is not None and self._too_often(party, now):
            self.dropped += 1
            return None
        request = stun.authentic(data, party.password) if party else None
        if party is None or request is None:
            return self._refuse(data, now)
        if not self._note(party, address, now):
            self.dropped += 1
            return None
        if stun.nominates(request):
            party.address = address
            party.nominated()
        if party.address in (None, address):
            party.heard = now
        return stun.success(request, address, party.password)

    @staticmethod
    def _too_often(party: Party[T], now: float) -> bool:
        if int(now) != party.second:
            party.second, party.requests = int(now), 0
        party.requests += 1
        return party.requests > _REQUESTS_A_SECOND

    def _note(self, party: Party[T], address: Address, now: float) -> bool:
        """Returns False where the address is another session's that is alive: source addresses can be forged."""
        before = self._by_address.get(address)
        if before is party:
            return True
        if before is not None:
            if now - before.heard < _ALIVE:
                return False
            before.addresses.pop(address, None)
            before.address = None if before.address == address else before.address
        self._by_address[address] = party
        party.addresses[address] = None
        if len(party.addresses) > _MOST_ADDRESSES:
            oldest = next(other for other in party.addresses if other != party.address)
            del party.addresses[oldest], self._by_address[oldest]
        return True

    def _refuse(self, data: bytes, now: float) -> bytes | None:
        if int(now) != self._second:
            self._second, self._refusals = int(now), 0
        self._refusals += 1
        if self._refusals > _REFUSALS_A_SECOND:
            self.dropped += 1
            return None
        self.refused += 1
        return stun.unauthorised(data)
