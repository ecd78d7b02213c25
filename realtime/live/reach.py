"""The media and edge processes of this machine, as what is here needs them."""

from collections.abc import Collection
from typing import Protocol

from relay.engine import Running
from relay.ports import Destination, Reason


class Reach(Protocol):
    """Names of media processes are never used twice: another start, another name. Every call may raise
    `relay.ports.Refused`; one to a process that is not here does nothing.
    """

    @property
    def node(self) -> str:
        """How viewers reach this machine (`[relay] edge_url`), or its name: the same after a restart."""

    @property
    def processes(self) -> Collection[str]:
        """The media processes that answer."""

    async def stop(self, process: str, room: str, fence: int, reason: Reason) -> None:
        """Ends the media process's publisher `fence` of the room, and older ones, with all that is made of them."""

    async def publishers(self, process: str) -> tuple[Running, ...]:
        """Who publishes in the media process."""

    async def make_public(self, process: str, room: str, session: str, record: bool) -> None:
        """`relay.engine.Engine.make_public`."""

    async def push_to(self, process: str, room: str, destinations: tuple[Destination, ...]) -> None:
        """From now on exactly to these."""

    async def remove_viewer(self, room: str, user: str) -> None:
        """Ends what the user watches of the room, by whatever way; they are to be asked about anew."""

    async def ended(self, room: str, session: str, reason: Reason) -> None:
        """`realtime.edge.ports.Edge.ended`, of all edges here."""

    async def refresh(self, room: str) -> None:
        """Edges forget who may watch the room, and ask again."""

    async def recordings_changed(self, room: str) -> None:
        """`realtime.edge.ports.Edge.recordings_changed`, of all edges here."""

    async def delete(self, folder: str) -> None:
        """Removes a recording's files; nothing where there are none. Raises Refused where the disk does not answer."""


class Nowhere:
    """No media here."""

    node = ""
    processes: Collection[str] = ()

    async def stop(self, process: str, room: str, fence: int, reason: Reason) -> None: ...

    async def publishers(self, process: str) -> tuple[Running, ...]:
        return ()

    async def make_public(self, process: str, room: str, session: str, record: bool) -> None: ...

    async def push_to(self, process: str, room: str, destinations: tuple[Destination, ...]) -> None: ...

    async def remove_viewer(self, room: str, user: str) -> None: ...

    async def ended(self, room: str, session: str, reason: Reason) -> None: ...

    async def refresh(self, room: str) -> None: ...

    async def recordings_changed(self, room: str) -> None: ...

    async def delete(self, folder: str) -> None: ...
