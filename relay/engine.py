"""The port behind which media is: what a gateway asks of a media process (ours, or one that takes its place)."""

from typing import Literal, Protocol

from msgspec import Struct

from relay.ports import Bearer, Destination, Reason


class Answer(Struct, frozen=True):
    """To an offer of WHIP or WHEP. `resource` names the session within the engine, `etag` its ICE session."""

    sdp: str
    resource: str
    etag: str


class Running(Struct, frozen=True):
    """A publisher at work: as it was admitted (`relay.ports.Admitted`). `flowing`: something of it is shown."""

    room: str
    session: str
    fence: int
    test: bool
    flowing: bool


class Engine(Protocol):
    """One media process. Calls raise `relay.ports.Refused`; `unavailable` where it does not answer in time or is gone,
    in which case its streams are gone too, and publishers come back by themselves.
    """

    async def whip(self, room: str, user: str, key: str, address: str, offer: str) -> Answer:
        """A publisher's offer, by stream key, or for a room and user with the right role."""

    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer:
        """A viewer's offer; the engine asks from time to time whether they may still watch. `forbidden` where they have
        been removed just now; `unavailable` with the reason where they should take fMP4: B-frames, too many.
        """

    async def trickle(self, resource: str, etag: str, fragment: str) -> str:
        """RFC 9725 section 4.3. Returns the answer's fragment, empty for none (204). `not_found`, `precondition`."""

    async def hang_up(self, resource: str) -> None:
        """DELETE of a session. `not_found` where it is over or unknown; `forbidden`, with why, where it was a
        publisher's that was ended so that it does not come back: replaced, stopped, taken down, banned, by another key.
        """

    async def stop(self, room: str, fence: int, reason: Reason) -> None:
        """Ends the room's stream and its publisher within a second. Nothing where there is none, or where its publisher
        is a newer one than `fence`.
        """

    async def publishers(self) -> tuple[Running, ...]:
        """Those at work; not those that are waited for."""

    async def make_public(self, room: str, session: str, record: bool) -> None:
        """The session was a test, and is shown to everybody from now on: what was made of it so far is not. Nothing
        where it is none, or is over. `record`: keep it from here on.
        """

    async def remove_viewer(self, room: str, viewer: str) -> None:
        """Ends what this viewer watches of the room by WHEP, and what comes within `relay.rights.DENIED_SECONDS`."""

    async def watching(self) -> dict[str, list[str]]:
        """Who watches by WHEP: user ids by room, each as often as they do."""

    async def push_to(self, room: str, destinations: tuple[Destination, ...]) -> None:
        """From now on exactly to these."""


Kind = Literal["whip", "whep"]
