"""A room's live stream: what the log says of it, what stands beside the log, and the server's own commands about it."""

from typing import Any, Literal

from msgspec import Struct

from rooms.events import Media
from rooms.ids import Millis

ADMITTED_MS = 30_000
"""So long a publisher that was let in has for its first keyframe."""
BEAT_MS = 20_000
"""A stream of which no gateway has said for so long that it goes on has lost its publisher."""

MOST_TAKEOVERS = 4
TAKEOVERS_MS = 60_000
HELD_MS = 300_000
"""When owners have taken a running stream from each other so often within so long, their encoders come back by
themselves, and would go on for ever: for so long whoever has it keeps it.
"""

State = Literal["idle", "admitted", "flowing", "interrupted", "ending"]
Ended = Literal["stopped", "gone", "removed", "banned", "closed", "taken_down", "key_rotated", "replaced"]
"""Why a live has ended: its creator stopped it, or left; did not come back in time; lost the right to it by a kick or
another role, was banned; the room was closed; the platform took it down; the stream key was made anew; another owner
publishes now.
"""
HIDING: frozenset[Ended] = frozenset({"banned", "removed", "taken_down"})
"""Of a live that ends so, nothing is shown any more, nor what was recorded of it. A rotated key hides nothing: creators
rotate theirs themselves.
"""


class Live(Struct, frozen=True, gc=False, kw_only=True):
    """A stream that everybody may watch, as the log has it. `interrupted`: since when its publisher is gone."""

    session: str
    title: str
    category: str | None = None
    mature: bool = False
    since: Millis
    interrupted: Millis | None = None


def media(room: str) -> Media:
    return Media(*(f"/v1/rooms/{room}/{way}" for way in ("whep", "stream", "hls/index.m3u8")))


def shown_live(room: str, live: Live) -> dict[str, Any]:
    """As `room.join` and `room.list` have it."""
    shown: dict[str, Any] = {"session": live.session, "title": live.title, "since": live.since, "media": media(room)}
    if live.category is not None:
        shown["category"] = live.category
    if live.mature:
        shown["mature"] = True
    if live.interrupted is not None:
        shown["interrupted"] = live.interrupted
    return shown


class Stream(Struct, frozen=True, kw_only=True):
    """A room's stream beside the log: what its owners have prepared, and who publishes. Not for everybody.

    `session` names this going live and stays the same over reconnects; `fence` grows with every publisher; `version`
    with every change. `process` is the media process that has the stream, `node` how its viewers reach that machine.
    `until`: when somebody has to look after it, where nothing happens before. `stopped`: publishers are refused until
    `live.start`. A `test` is shown to `user` alone. `reason` is why it is ending or has ended. `takeovers`: how often
    one owner has taken it from another since `contested`; of the last one that is allowed, when that was.
    """

    version: int = 0
    state: State = "idle"
    user: str = ""
    session: str = ""
    fence: int = 0
    node: str = ""
    process: str = ""
    started_at: Millis = 0
    until: Millis | None = None
    reason: str = ""
    title: str = ""
    category: str | None = None
    mature: bool = False
    test: bool = False
    stopped: bool = False
    takeovers: int = 0
    contested: Millis = 0

    @property
    def on(self) -> bool:
        """Whether there is a publisher, or one is waited for."""
        return self.state in ("admitted", "flowing", "interrupted")


# The server's own commands. Their actor is the creator.


class Publish(Struct, frozen=True, kw_only=True):
    """A publisher wants in. The reply has the `stream` as it then is."""

    room: str
    node: str
    process: str


class Flowing(Struct, frozen=True, kw_only=True):
    """The first keyframe of the publisher `fence` has come."""

    room: str
    fence: int


class Left(Struct, frozen=True, kw_only=True):
    """The publisher `fence` is gone. Nothing where it is not the newest."""

    room: str
    fence: int


class Lapse(Struct, frozen=True, kw_only=True):
    """Does what is due of a stream: ends it, or notes that its publisher is gone."""

    room: str


Internal = Publish | Flowing | Left | Lapse
