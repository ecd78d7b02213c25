"""What a media process tells edge processes of its streams, beside what is cut (`relay/parts_values.py`)."""

import msgspec
from msgspec import Struct

from relay.parts_values import Init, Keyframes, Part, SegmentEnded
from relay.ports import Reason


class Began(Struct, frozen=True, tag="began"):
    """A stream. `epoch_ms` is the moment of its clock's zero (Unix epoch). From `secret` the names of its segments are
    made. A `test` is shown to `user` alone. `folder`: where under `[relay] media_dir` its files are.
    """

    room: str
    session: str
    user: str
    epoch_ms: int
    secret: bytes
    test: bool
    folder: str


class Stored(Struct, frozen=True, tag="stored"):
    """A segment that can be read from the folder's file `file`, `size` bytes from `offset` on. Size 0: it could not be
    written, so nobody will have it once it is no longer in memory.
    """

    msn: int
    start: int
    duration: int
    init: int
    discontinuity: bool
    discontinuities: int
    file: str
    offset: int
    size: int


class Index(Struct, frozen=True, tag="index"):
    """All that is stored so far: for an edge process that has just come."""

    segments: tuple[Stored, ...]


class Interrupted(Struct, frozen=True, tag="interrupted"):
    """The publisher is gone, perhaps for good. The next part says that it is back."""


class Over(Struct, frozen=True, tag="over"):
    """The stream has ended. With `taken_down` and `banned` nothing of it may be shown any more."""

    reason: Reason

    @property
    def hidden(self) -> bool:
        return self.reason in ("taken_down", "banned")


class Poster(Struct, frozen=True, tag="poster"):
    """A WebP picture of the stream."""

    data: bytes


Told = Began | Init | Part | SegmentEnded | Keyframes | Index | Stored | Interrupted | Over | Poster


class Frame(Struct, frozen=True, array_like=True):
    """`stream` is a number that the media process gives it, never twice."""

    stream: int
    told: Told


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Frame).decode
