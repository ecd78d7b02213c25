"""One session of a client with us: its ICE, its DTLS, and how it ends."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from relay.engine import Kind
from relay.rtc.dtls import Certificate, Secured, Wire, is_rtcp, is_srtp
from relay.rtc.ice import Agent, Credentials, Party
from relay.rtc.port import Port
from relay.rtc.protect import Protector
from relay.rtc.sdp import Offer

log = structlog.get_logger("relay.rtc")

CONNECT_SECONDS = 10.0
"""From the offer's answer to the end of the DTLS handshake."""
DATAGRAMS_A_SECOND = 5_000
"""Of one session, four times what 12 Mbit/s are; more are dropped, as each costs what it takes to decrypt it."""
_OF_DTLS, _OF_RTCP = 50, 16
"""What one of DTLS counts for, as it may be as many records; and in how many bytes of RTCP, which may be many packets,
each counts as one more.
"""

Origin = tuple[Kind, str, str]
"""What it is for, and the address and user that it is from."""


class Session(Protocol):
    """What a connection carries. Called from the event loop; must not raise."""

    def connected(self) -> None: ...

    def rtp(self, data: bytes) -> None: ...

    def rtcp(self, data: bytes) -> None: ...

    def closed(self, why: str) -> None:
        """Once, also after `Connection.close`. `why`: "failed" before it was connected, "gone", or what was given."""


class Connection:
    """Made with the answer to an offer; ends by itself where the client does not connect in time."""

    def __init__(
        self,
        resource: str,
        offer: Offer,
        credentials: Credentials,
        agent: Agent["Connection"],
        port: Port,
        certificate: Certificate,
        session: Session,
        over: Callable[["Connection"], None],
        origin: Origin,
    ) -> None:
        """`over` is called when all is done, the last thing being sent."""
        self.origin = origin
        self.resource, self.session = resource, session
        self._agent, self._port = agent, port
        self._nominated = asyncio.Event()
        self.party = Party(self, credentials, Credentials(offer.ufrag, offer.password), self._nominated.set)
        self._wire = Wire(self.send)
        self.secured = Secured(certificate, self._wire, offer.role, session)
        self.connected = self._closed = False
        self.why = ""
        """It is closed; empty before."""
        self._second, self._datagrams = 0, 0
        self._over = over
        agent.add(self.party)
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(self._run(offer))
        self._task.add_done_callback(self._done)

    def datagram(self, data: bytes, now: float) -> bool:
        """Whether it is taken, and not one too many."""
        if int(now) != self._second:
            self._second, self._datagrams = int(now), 0
        self._datagrams += _cost(data)
        if self._datagrams > DATAGRAMS_A_SECOND:
            return False
        self.secured.datagram(data)
        return True

    def send(self, data: bytes) -> bool:
        address = self.party.address
        return address is not None and self._port.send(data, address)

    @property
    def protector(self) -> Protector:
        return self._port.protector

    def send_run(self, run: memoryview, size: int, count: int) -> None:
        """Protected packets, as `Port.send_run`; where there is no address, to nobody."""
        address = self.party.address
        if address is not None:
            self._port.send_run(run, size, count, address)

    def send_rtcp(self, data: bytes) -> None:
        """A compound packet, in the clear; nothing before the handshake is done."""
        if (outbound := self.secured.outbound) is not None:
            self.send(outbound.protect_rtcp(data))

    def close(self, why: str) -> None:
        """At once; the client is told by DTLS."""
        if not self._closed and self._task is not None:
            self._end(why)
            self._task.cancel()

    async def wait_closed(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, offer: Offer) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._nominated.wait()  # there is nowhere to send to before
                self.connected = await self.secured.handshake(offer.fingerprints)
            if self.connected:
                self.session.connected()
                await self.secured.over()
                self._end("gone")
        except TimeoutError:
            self._end("failed")
        finally:
            await self.secured.stop()

    def _end(self, why: str) -> None:
        if not self._closed:
            self._closed, self.why = True, why
            self.session.closed(why)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._end("failed")
        self._task = None  # a cancelled task holds, by its exception, who has run it
        self._wire.close()
        self._agent.remove(self.party)
        self._over(self)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session failed", exc_info=error)


def _cost(data: bytes) -> int:
    if not is_srtp(data):
        return _OF_DTLS
    return 1 + len(data) // _OF_RTCP if is_rtcp(data) else 1
