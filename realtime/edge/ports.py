"""What edge processes and gateways ask of each other, over `relay.rpc` on `DATA/run/edge-N.sock`, where the edge
listens.
"""

from typing import Protocol

from msgspec import Struct
from msgspec.msgpack import Decoder

from relay.ports import Reason
from relay.rights import Asked
from relay.rpc import SECONDS
from relay.rpc_links import Listener


class Watching(Struct, frozen=True):
    """Who watches a room here: user ids as in passes, by fMP4 and by HLS."""

    room: str
    stream: tuple[str, ...]
    hls: tuple[str, ...]


class Edge(Protocol):
    """What gateways ask of an edge process."""

    async def revoke(self, room: str, user: str) -> None:
        """The user may not watch the room any more: what runs is ended, what comes is denied for a moment
        (`relay.rights.DENIED_SECONDS`) and asked about again after that.
        """

    async def refresh(self, room: str) -> None:
        """Who may watch the room has changed: all are asked about again."""

    async def recordings_changed(self, room: str) -> None:
        """Some of the room's recordings are hidden, deleted, listed or unlisted: who reads one is asked about again."""

    async def ended(self, room: str, session: str, reason: Reason) -> None:
        """The session is over, whether or not its media process is there to say so. Nothing where the room shows
        another one.
        """

    async def watching(self) -> tuple[Watching, ...]: ...


class Gateway(Asked, Protocol):
    """What an edge process asks of a gateway. Raises `relay.ports.Refused`: no gateway answers."""

    async def may_replay(self, room: str, recording: str, user: str, granted: bool) -> bool:
        """Whether the user may see this recording (the name of its folder): listed, or theirs, and not hidden."""


_bool = Decoder(bool)


class RemoteGateway:
    """Whichever gateway is connected."""

    def __init__(self, gateways: Listener):
        self._gateways = gateways

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        return await self._gateways.call(_bool, "may_watch", room, user, granted, seconds=SECONDS)

    async def may_replay(self, room: str, recording: str, user: str, granted: bool) -> bool:
        return await self._gateways.call(_bool, "may_replay", room, recording, user, granted, seconds=SECONDS)
