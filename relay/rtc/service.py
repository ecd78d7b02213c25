"""WebRTC of one media process: serves the WHIP and WHEP calls of `relay.engine.Engine`."""

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import Callable
from secrets import token_hex
from typing import Final

import structlog
from msgspec import Struct

from relay.engine import Answer, Kind
from relay.ports import TEXTS, Bearer, Claim, Reason, Reception, Refused
from relay.rights import Rights
from relay.rtc import answer, sdp
from relay.rtc.answer import Chosen, Local
from relay.rtc.connection import Connection, Origin, Session
from relay.rtc.dtls import Certificate
from relay.rtc.ice import Agent, Credentials
from relay.rtc.port import Port, own_addresses
from relay.rtc.receive import Track
from relay.rtc.sdp import MID, Offer
from relay.rtc.stun import Address
from relay.rtc.whep import Whep
from relay.rtc.whip import WhipPublisher
from relay.stream import Stream

log = structlog.get_logger("relay.rtc")

_TICK = 0.02
_CERTIFICATE_SECONDS = 86_400
_MOST_CONNECTING: Final[dict[Kind, int]] = {"whip": 100, "whep": 200}
_OF_AN_ADDRESS: Final[dict[Kind, int]] = {"whip": 16, "whep": 64}
_OF_A_USER = 4
_FINAL: Final[frozenset[Reason]] = frozenset({"replaced", "stopped", "taken_down", "banned", "key_rotated"})
_MOST_ENDED = 1_024
_SHORTEST = 2
"""Bytes of a datagram that is read."""
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)


class RtcSettings(Struct, frozen=True):
    """`public_addresses`: where clients reach the port; empty: the socket's own. `max_kbit` of a publisher,
    `whep_viewers` at most (0: no WHEP), `offload`: the kernel cuts runs, where it can.
    """

    public_addresses: tuple[str, ...] = ()
    max_kbit: int = 12_000
    whep_viewers: int = 500
    offload: bool = True


class Rtc:
    """All sessions on one UDP socket. One that does not connect within ten seconds is over; of those that are yet to
    connect there are so many at most, whoever comes then is told `too_many`.
    """

    def __init__(
        self,
        sock: socket.socket,
        settings: RtcSettings,
        reception: Reception,
        stream_of: Callable[[str], Stream | None],
        rights: Rights,
    ):
        """Made within the event loop. `sock`: UDP, bound; closed by `close`. `stream_of` a room: None for none."""
        self._settings, self._reception, self._rights = settings, reception, rights
        self.viewers = Whep(stream_of, settings.whep_viewers)
        self._loop = asyncio.get_running_loop()
        self.agent: Agent[Connection] = Agent()
        self.dropped = 0
        """Datagrams of nobody, and those that are too many of a session."""
        self.port = Port(sock, self._datagram, offload=settings.offload)
        self._addresses = settings.public_addresses or own_addresses(sock)
        self._certificate, self._certified = Certificate(), self._loop.time()
        self._connections: dict[str, Connection] = {}
        self._etags: dict[str, str] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        """Why, by resource, of publishers that were ended so that they do not come back."""
        self._publishers: set[WhipPublisher] = set()
        self._ticks = self._loop.call_later(_TICK, self._tick)

    # Engine

    async def whip(self, room: str, user: str, key: str, address: str, offer: str) -> Answer:
        """`relay.engine.Engine.whip`."""
        self._hold_connecting("whip", address, "")
        read = _read(offer)
        chosen, tracks = _tracks(read)
        publisher = WhipPublisher(tracks, self._settings.max_kbit, self._publishers.discard)
        claim = Claim("whip", address, key, room, user)
        publisher.intake = await self._reception.publish(claim, publisher)
        connection, local = self._connect(read, publisher, ("whip", address, ""))
        publisher.connection = connection
        self._publishers.add(publisher)
        text = answer.write(read, chosen, [None] * len(chosen), "recvonly", local, self._settings.max_kbit)
        return Answer(text, connection.resource, self._etags[connection.resource])

    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer:
        """`relay.engine.Engine.whep`."""
        if self._rights.denies(room, viewer):  # a gateway had not heard of that when it let them in
            raise Refused("forbidden", "You may not watch this room.")
        self._hold_connecting("whep", address, viewer.user)
        read = _read(offer)
        session, chosen, sources = self.viewers.admit(room, viewer, read)
        connection, local = self._connect(read, session, ("whep", address, viewer.user))
        session.connection = connection
        text = answer.write(read, chosen, sources, "sendonly", local)
        return Answer(text, connection.resource, self._etags[connection.resource])

    async def trickle(self, resource: str, etag: str, fragment: str) -> str:
        """`relay.engine.Engine.trickle`. Candidates are taken and not needed: clients come to us. An ICE restart is
        `unsupported` (422): the client begins a new session.
        """
        if resource not in self._connections:
            raise Refused("not_found", "This session is over.")
        if etag not in (self._etags[resource], "*"):
            raise Refused("precondition", "The ICE session is another one.")
        if etag == "*" and _UFRAG.search(fragment):
            raise Refused("unsupported", "ICE restarts are not supported; begin a new session.")
        return ""

    async def hang_up(self, resource: str) -> None:
        """`relay.engine.Engine.hang_up`."""
        connection = self._connections.get(resource)
        if connection is not None:
            connection.close("gone")
            await connection.wait_closed()
        if resource in self._ended:
            raise Refused("forbidden", self._ended[resource])
        if connection is None:
            raise Refused("not_found", "This session is over.")

    async def close(self) -> None:
        """Ends all sessions (`leaving`) and closes the socket."""
        self._ticks.cancel()
        for connection in tuple(self._connections.values()):
            connection.close("leaving")
        while self._connections:
            await next(iter(self._connections.values())).wait_closed()
        self.port.close()

    # Sessions

    def _hold_connecting(self, kind: Kind, address: str, user: str) -> None:
        """Publishers and viewers have places of their own; one address, and one user, have some of them."""
        connecting = [one.origin for one in self._connections.values() if not one.connected and one.origin[0] == kind]
        if (
            len(connecting) >= _MOST_CONNECTING[kind]
            or sum(origin[1] == address for origin in connecting) >= _OF_AN_ADDRESS[kind]
            or (user and sum(origin[2] == user for origin in connecting) >= _OF_A_USER)
        ):
            raise Refused("too_many", "Too many sessions are connecting at this moment.", 1_000)

    def _connect(self, offer: Offer, session: Session, origin: Origin) -> tuple[Connection, Local]:
        now = self._loop.time()
        if now - self._certified > _CERTIFICATE_SECONDS:
            self._certificate, self._certified = Certificate(), now
        # 128 bits of chance in the password (RFC 8445, section 5.3), and a resource that nobody guesses.
        local = Local(token_hex(8), token_hex(16), self._certificate.fingerprint, self._addresses, self.port.number)
        connection = Connection(
            token_hex(16), offer, Credentials(local.ufrag, local.password), self.agent, self.port, self._certificate,
            session, self._over, origin,
        )  # fmt: skip
        self._connections[connection.resource] = connection
        self._etags[connection.resource] = token_hex(8)
        return connection, local

    def _over(self, connection: Connection) -> None:
        del self._connections[connection.resource], self._etags[connection.resource]
        if connection.origin[0] == "whip" and connection.why in _FINAL:
            self._ended[connection.resource] = TEXTS[connection.why]
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)

    def _datagram(self, data: bytes, address: Address) -> None:
        now = self._loop.time()
        if len(data) < _SHORTEST:
            self.dropped += 1
        elif data[0] < 4:
            for reply in self.agent.receive(data, address, now):
                self.port.send(reply, address)
        elif (connection := self.agent.at(address)) is None or not connection.datagram(data, now):
            self.dropped += 1

    def _tick(self) -> None:
        self._ticks = self._loop.call_later(_TICK, self._tick)
        now = self._loop.time()
        for publisher in tuple(self._publishers):
            try:
                publisher.tick(now)
            except Exception:
                log.exception("publisher_failed")
                if publisher.connection is not None:
                    publisher.connection.close("failed")
        self.viewers.tick(now)


def _read(offer: str) -> Offer:
    try:
        return sdp.parse(offer)
    except ValueError as error:
        raise Refused("bad_request", str(error)) from error


def _tracks(offer: Offer) -> tuple[list[Chosen | None], list[Track]]:
    """The first video and audio that are sent; of more, and of what we cannot take, none. Raises Refused."""
    tracks: list[Track] = []
    chosen: list[Chosen | None] = []
    for section in offer.sections:
        taken = None
        if section.kind and section.sends and all(track.kind != section.kind for track in tracks):
            taken = answer.choose(section, ("h264", "vp8") if section.kind == "video" else ("opus",), extensions=(MID,))
            if taken is not None:
                tracks.append(Track(section.kind, taken))
        chosen.append(taken)
    if not tracks:
        raise Refused("unsupported", "The offer sends neither H.264 (packetization-mode 1) nor VP8 nor Opus.")
    return chosen, tracks
