"""The way to what edge processes serve: who may watch, and where that is."""

import secrets
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from realtime import ports
from realtime.auth.identity import Identity
from realtime.config import Config
from realtime.edge.passes import Passes
from realtime.gateway.admission import ANONYMOUS, actor_of
from realtime.hosting.service import Service
from realtime.http.credentials import Credentials
from relay.ports import Bearer
from rooms.errors import Rejected

EDGE_QUERY = ("dvr", "part")
"""What of a query the edge is to know; credentials stay here."""


class Watching:
    """`node`: what this machine is called in the store."""

    def __init__(
        self,
        service: Service,
        node: str,
        credentials: Credentials,
        passes: Passes,
        config: Config,
        clock: ports.Clock,
    ):
        self._service, self._node, self._credentials = service, node, credentials
        self._passes, self._config, self._clock = passes, config, clock

    @property
    def routes(self) -> list[BaseRoute]:
        paths = ("hls/index.m3u8", "live/poster.webp", "recordings/{id}/{name}", "stream")
        return [Route(f"/v1/rooms/{{room}}/{path}", self.to_edge) for path in paths]

    async def to_edge(self, request: Request) -> Response:
        """307 to the same path there, with a pass. Raises Rejected, Unavailable."""
        room = request.path_params["room"]
        if (recording := request.path_params.get("id")) is None:
            viewer, base = await self.viewer_and_node(request, room)
        else:
            viewer, base = await self.reader(request, room), await self._keeper_of(room, recording)
        target = self.edge_address(request, room, viewer, base)
        return Response(None, 307, {"Location": target, "Cache-Control": "no-store"})

    def edge_address(self, request: Request, room: str, viewer: Bearer, base: str | None = None) -> str:
        """Where the edge of `base` (this machine's where None) serves what this request asks for."""
        relay = self._config.relay
        base = base or relay.edge_url
        if not base:
            host = urlsplit(f"//{request.headers.get('host', 'localhost')}").hostname or "localhost"
            base = f"{request.url.scheme}://{f'[{host}]' if ':' in host else host}:{relay.edge_port}"
        issued = self._passes.issue(room, viewer, self._clock())
        asked = [(name, value) for name, value in request.query_params.multi_items() if name in EDGE_QUERY]
        return f"{base.rstrip('/')}{quote(request.url.path)}?{urlencode([('pass', issued), *asked])}"

    async def viewer(self, request: Request, room: str) -> Bearer:
        """Who watches, by the name that edges and media processes know them by: of who has none, one made up here.
        Raises Rejected, Unavailable.
        """
        identity = await self._identified(request, room)
        await self._may_see(identity, room)
        return _bearer(identity, room)

    async def viewer_and_node(self, request: Request, room: str) -> tuple[Bearer, str | None]:
        """As `viewer`; and where the stream is, as `edge_address` takes it. It is looked up before: an edge that takes
        the viewer's socket asks no more whether they may.
        """
        identity = await self._identified(request, room)
        node = await self._node_of(room)
        await self._may_see(identity, room)
        return _bearer(identity, room), node

    async def reader(self, request: Request, room: str) -> Bearer:
        """Who asks for a recording; whether they may have it is asked by the edge."""
        return _bearer(await self._identified(request, room), room)

    def elsewhere(self, node: str) -> str | None:
        """The address of the edge of another machine, where `node` is one."""
        return node if node != self._node and node.startswith(("http://", "https://")) else None

    async def _identified(self, request: Request, room: str) -> Identity | None:
        identity = await self._credentials.for_room(request, room)
        if identity is None and not self._config.auth.anonymous:
            raise Rejected("unauthorized", "This needs a token or a ticket.", field="token")
        return identity

    async def _may_see(self, identity: Identity | None, room: str) -> None:
        await self._service.live.may_see(ANONYMOUS if identity is None else actor_of(identity), room)

    async def _node_of(self, room: str) -> str | None:
        """The address of the edge of another machine that has the stream; None where it is here, or nowhere."""
        stream = await self._service.store.stream(room)
        return self.elsewhere(stream.node) if stream.on else None

    async def _keeper_of(self, room: str, recording: str) -> str | None:
        """The address of the edge of another machine that has the recording's files."""
        if not self._config.broker.on_redis:
            return None  # there is no other, whatever `[relay] edge_url` was when it was made
        found = await self._service.store.recording(room, recording)
        return self.elsewhere(found.node) if found is not None else None


def _bearer(identity: Identity | None, room: str) -> Bearer:
    if identity is None:
        return Bearer(f"~{secrets.token_hex(8)}")
    granted = room in identity.rooms
    return Bearer(identity.user, granted, identity.expires_ms if granted else 0)
