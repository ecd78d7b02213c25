"""What the parts of a media process are to each other, and what it asks of a gateway.

A `Publisher` is admitted by the `Reception`, which gives it an `Intake` to put its units in; the stream behind that
gives them to its `Output`s. The process asks a gateway through `Gate`; gateways ask the process through
`relay.engine.Engine`.
"""

from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from relay.units import Unit

Reason = Literal["replaced", "stopped", "taken_down", "banned", "key_rotated", "gone", "refused", "failed", "leaving"]
"""Why a publisher's connection or a stream was ended."""

TEXTS: Final[dict[Reason, str]] = {
    "replaced": "Another encoder has taken this stream over.",
    "stopped": "The stream was stopped.",
    "taken_down": "The stream was taken down.",
    "banned": "You may not stream in this room any more.",
    "key_rotated": "The stream key was changed.",
    "refused": "The stream was refused.",
    "leaving": "The server is restarting: connect again.",
}
"""For the person who publishes; nothing where nothing is to be said."""


class Refused(Exception):
    """A publisher, viewer or request that is not let in. `code` is one of the protocol's, `message` is for people,
    `retry_after_ms` where waiting helps.
    """

    def __init__(self, code: str, message: str, retry_after_ms: int | None = None):
        super().__init__(message)
        self.code, self.message, self.retry_after_ms = code, message, retry_after_ms


class Received(Struct, frozen=True):
    """What a publisher's connection has measured since it began. Loss and round trip are None where the way of
    publishing cannot tell.
    """

    bytes: int
    packets_lost: int | None = None
    packets: int | None = None
    round_trip_ms: float | None = None


class Publisher(Protocol):
    """The connection of one publisher."""

    kind: Literal["whip", "rtmp"]

    def ask_keyframe(self) -> None:
        """Asks for a keyframe, where the way of publishing can; never more often than every 500 ms."""

    def close(self, reason: Reason) -> None:
        """Ends the connection at once. It gives no unit after that; its stream is told `left` by the caller."""

    def received(self) -> Received: ...


class Intake(Protocol):
    """Where a publisher's units go. Neither call raises or waits."""

    def unit(self, unit: Unit) -> None:
        """The next unit, on the publisher's own clock, which may begin anywhere; the stream puts it on its own. A `dts`
        that goes back, or far ahead, is the stream's to mend.
        """

    def left(self, reason: Reason) -> None:
        """The connection has ended. Called once, also after `Publisher.close`."""


class Reception(Protocol):
    """Lets publishers in."""

    async def publish(self, claim: "Claim", publisher: Publisher) -> Intake:
        """Raises Refused. An older publisher of the room is closed (`replaced`) before this returns."""


class Output(Protocol):
    """Where a stream's units go. Calls are made from the event loop and return within a millisecond: an output that has
    to wait has a bounded queue of its own, and drops from it (to the next keyframe) when it is full.

    An output that fails, fails alone: it catches what its own work raises, counts it, and goes on or closes.
    """

    audio: Literal["aac", "opus"]
    """In which codec it is given audio: the stream transcodes once for all who want another than came."""

    @property
    def wants_keyframe(self) -> bool:
        """Asked with each unit: the publisher is then asked for one."""

    def unit(self, unit: Unit) -> None:
        """The next unit, on the stream's clock; `dts` of a track never goes back. One whose `config` differs begins a
        new init segment.
        """

    def interrupted(self) -> None:
        """The publisher is gone, for some seconds or for good: what is begun is to be finished and shown."""

    def ended(self, reason: Reason) -> None:
        """No unit comes any more. With `taken_down` and `banned` nothing of the stream may be shown any longer."""


class Claim(Struct, frozen=True):
    """What a publisher shows: a stream key, or a room and user that a gateway has already found to have the right."""

    kind: Literal["whip", "rtmp"]
    address: str
    key: str = ""
    room: str = ""
    user: str = ""


class Bearer(Struct, frozen=True):
    """A viewer, as a gateway has let them in. `user`: an anonymous one has an id of its own, made up by the gateway.
    `granted`: the user's token alone lets them into the room, until `until_ms` (Unix epoch).
    """

    user: str
    granted: bool = False
    until_ms: int = 0


class Destination(Struct, frozen=True):
    """Another platform that a stream is pushed to. `url` is rtmp:// or rtmps://, with the secret key put in."""

    id: str
    name: str
    url: str

    def __repr__(self) -> str:
        return f"Destination({self.id!r}, {self.name!r})"


class Admitted(Struct, frozen=True):
    """A publisher that is let in. `session` names this going live and stays the same over reconnects within the grace;
    `fence` grows with every publisher of the room: of two, the greater one is the newer. A `test` is shown to `user`
    alone. `record`: keep it as a recording.
    """

    room: str
    user: str
    session: str
    fence: int
    title: str
    test: bool = False
    record: bool = True
    destinations: tuple[Destination, ...] = ()


class Recorded(Struct, frozen=True):
    """A finished recording in a folder under `[relay] media_dir`. Times in milliseconds (Unix epoch, length). `parts`:
    how many MP4 files it is (`relay.movies.movie`).
    """

    session: str
    room: str
    user: str
    folder: str
    started_at: int
    length_ms: int
    bytes: int
    width: int
    height: int
    parts: int


class Gate(Protocol):
    """A gateway, asked by a media process. Every call may take seconds, or fail with `Refused("unavailable", ...)`
    where no gateway answers in time; who calls decides what then holds: a publisher is refused, `flowing`, `left` and
    `recorded` are said again until they are heard, a report is dropped.
    """

    async def admit(self, claim: Claim) -> Admitted:
        """Raises Refused: `unauthorized`, `forbidden`, `not_found`, `too_many`, `rate_limited` (two owners replace each
        other again and again: the running one stays), `unavailable`.
        """

    async def flowing(self, room: str, session: str, fence: int) -> None:
        """The first keyframe of this publisher has come: `live.started` or `live.resumed`. Raises Refused where a newer
        publisher has taken the room meanwhile: this one is to be closed (`replaced`).
        """

    async def left(self, room: str, session: str, fence: int, reason: Reason) -> None:
        """This publisher is gone: `live.interrupted`, and after the grace `live.stopped`, unless another one comes."""

    async def recorded(self, recording: Recorded) -> None: ...

    async def report(self, room: str, user: str, event: dict[str, Any]) -> None:
        """An ephemeral event to the creator's connections: health, statuses of destinations, warnings. May be lost."""
