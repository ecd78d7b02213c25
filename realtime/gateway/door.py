"""The way in for WebSocket clients: who is let in, and what all their connections share."""

import asyncio
from urllib.parse import parse_qs

from realtime import ports
from realtime.gateway.admission import Admission, bearer
from realtime.gateway.codecs import BY_SUBPROTOCOL, JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from realtime.gateway.endpoint import Endpoint
from realtime.gateway.handshake import Handshake, Refused
from realtime.gateway.origins import is_local, origin_allowed
from realtime.gateway.websocket import Connection
from realtime.gateway.welcome import Welcome
from realtime.gateway.wheel import Wheel
from realtime.hosting.service import Service
from realtime.metrics import Metrics

SOCKET_PATH = "/v1/socket"


class Door:
    """Lets WebSocket clients in (`websocket.Acceptor`)."""

    paths = (SOCKET_PATH,)
    subprotocols = (JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL)

    def __init__(
        self,
        service: Service,
        admission: Admission,
        welcome: Welcome,
        wheel: Wheel,
        clock: ports.Clock,
        metrics: Metrics,
    ):
        self.service = service
        self.admission = admission
        self.welcome = welcome
        self.wheel = wheel
        self.clock = clock
        self.metrics = metrics
        self.endpoints: set[Endpoint] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def leave(self) -> None:
        """Takes nothing more from any client."""
        for endpoint in self.endpoints:
            endpoint.leave()

    async def settle(self) -> None:
        """Returns when every command taken so far has been answered."""
        while self.tasks or self.service.busy:
            if self.tasks:
                await asyncio.wait(self.tasks)
            await self.service.settle()

    async def abandon(self) -> None:
        """Gives up what is still under way: nobody is left to hear of it."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def allows_origin(self, origin: str, host: str) -> bool:
        return origin_allowed(origin, host, () if self.welcome.local_only else self.welcome.allowed_origins)

    def accept(self, handshake: Handshake, connection: Connection) -> Endpoint:
        if self.welcome.local_only and not is_local(handshake.host):
            raise Refused(403, "In development mode only this machine is served.\n")
        endpoint = Endpoint(self, connection, BY_SUBPROTOCOL[handshake.subprotocol], handshake.host)
        self.endpoints.add(endpoint)
        token = bearer(handshake.headers.get("authorization")) or next(
            iter(parse_qs(handshake.query).get("token", ())), None
        )
        endpoint.opened(token)
        return endpoint
