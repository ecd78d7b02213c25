"""What the store keeps of live streams beside the log. What decisions change of it goes with `Store.append`."""

from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct

from rooms.effects import Recording
from rooms.ids import Millis
from rooms.live import Live, Stream


class StreamKey(Struct, frozen=True):
    """Of one user for one room. `granted`: the last token they showed here made them an owner; `kyc` as it said."""

    room: str
    user: str
    generation: int = 1
    hash: bytes | None = None
    granted: bool = False
    kyc: bool = False


class StoredDestination(Struct, frozen=True):
    """Another platform of a user's. `secret` is the stream key there, encrypted."""

    user: str
    id: str
    name: str
    url: str
    secret: bytes
    enabled: bool

    def __repr__(self) -> str:
        return f"StoredDestination({self.id!r}, {self.name!r})"


class Lives(Protocol):
    """As `realtime.ports.Store`: every method raises Unavailable."""

    async def stream(self, room: str) -> Stream:
        """A blank one where the room has none."""

    async def live(self, room: str, session: str) -> tuple[Live, bool] | None:
        """A live, present or past, and whether it was taken down."""

    async def due_streams(self, now: Millis, limit: int) -> list[tuple[str, Stream]]:
        """Rooms and streams whose `until` has come, the earliest first."""

    async def streams_of(self, *, processes: Collection[str] = (), user: str | None = None) -> list[tuple[str, Stream]]:
        """Rooms and streams that are on (`Stream.on`) in any of these media processes, or by this user."""

    async def beat(self, process: str, fences: Mapping[str, int], until: Millis) -> None:
        """The streams of these rooms go on, where they flow in this media process with the publisher of this fence:
        what is due of them is so at `until`.
        """

    async def stream_key(self, room: str, user: str) -> StreamKey | None: ...

    async def key_holder(self, digest: bytes) -> StreamKey | None:
        """Whose key has this hash."""

    async def save_stream_key(self, key: StreamKey) -> bool:
        """Keeps it, unless one of a later generation is kept: returns whether it is now as given. A new generation ends
        what the user publishes in the room (`Stream.state` is then `ending`, due at once).
        """

    async def destinations(self, user: str) -> list[StoredDestination]:
        """By name."""

    async def add_destination(self, destination: StoredDestination, most: int) -> bool | None:
        """False where the user has one of this name, None where they have `most`."""

    async def update_destination(self, destination: StoredDestination) -> bool | None:
        """None where there is none of this id, False where another one has this name."""

    async def remove_destination(self, user: str, destination: str) -> bool:
        """Whether it was there."""

    async def add_recording(self, recording: Recording) -> None:
        """Nothing where there is one of this id. Of a live that was taken down it is `hidden` from the first."""

    async def recording(self, room: str, recording: str) -> Recording | None: ...

    async def recordings(
        self, room: str, *, creator: str | None, everything: bool, before: tuple[Millis, str] | None, limit: int
    ) -> list[Recording]:
        """Newest first, those before a start and id: the listed ones and, of `creator`, the unlisted; `everything`: all
        but those deleted.
        """

    async def deleted_recordings(self, node: str, *, after: str, limit: int) -> list[Recording]:
        """Those whose files are to go from this machine, by their ids, which come behind `after`."""

    async def forget_recording(self, room: str, recording: str) -> None:
        """The files are gone."""
