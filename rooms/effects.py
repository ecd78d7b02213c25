"""What a decision changes beside the log, in the same transaction; and what must still hold when it is written.

A *condition* is an effect that can fail: another node may have been quicker. Then nothing of its command is written
and the command is decided again on what the log then holds.
"""

from typing import Literal

from msgspec import Struct

from rooms.actors import Actor
from rooms.ids import Millis
from rooms.live import Ended, Stream


class Invite(Struct, frozen=True):
    """A way in. `uses` is what is left (None: no bound), `until` its end (None: none)."""

    code: str
    room: str
    by: str
    uses: int | None
    until: Millis | None


class Pending(Struct, frozen=True, kw_only=True):
    """A message that waits, without a position: `held` for a moderator, `delayed` until `release_at`."""

    id: str
    room: str
    kind: Literal["held", "delayed"]
    actor: Actor
    at: Millis
    text: str
    reply_to: int | None = None
    release_at: Millis | None = None
    rule: str = ""


class Report(Struct, frozen=True, kw_only=True):
    """What a user tells the moderators of a message (`target`) or of a user."""

    id: str
    room: str
    by: str
    at: Millis
    reason: str
    target: int | None = None
    user: str | None = None
    text: str | None = None


class AddInvite(Struct, frozen=True):
    invite: Invite


class RevokeInvite(Struct, frozen=True):
    """Condition: the invite is there."""

    code: str


class UseInvite(Struct, frozen=True):
    """Condition: the invite is there, has a use left and has not ended at `now`."""

    code: str
    now: Millis


class AddPending(Struct, frozen=True):
    """Condition: fewer than `most` messages wait in the room."""

    pending: Pending
    most: int


class TakePending(Struct, frozen=True):
    """Condition: the pending message is still there. It is removed, and its author told of the outcome."""

    id: str
    author: str
    outcome: Literal["approved", "denied", "released"]


class AddReport(Struct, frozen=True):
    report: Report


class React(Struct, frozen=True):
    """A reaction outside the log, as live rooms have them. Condition: at most `kinds` emoji stand on the message."""

    target: int
    user: str
    emoji: str
    on: bool
    kinds: int


class SpaceMessages(Struct, frozen=True):
    """Condition: the user's last message in the room is at least `gap_ms` older than `at`. Sets it to `at`."""

    user: str
    at: Millis
    gap_ms: int


class NoRepeat(Struct, frozen=True):
    """Condition: the user has not said in the room, within `within_ms` before `at`, what `digest` is of. Notes it."""

    user: str
    digest: bytes
    at: Millis
    within_ms: int


class KeepOwner(Struct, frozen=True):
    """Condition: somebody other than `user` owns the room."""

    user: str


class Ending(Struct, frozen=True):
    """The media process `process` is to end its publisher `fence`, and older ones of the room. `moved`: the session
    goes on with a newer publisher elsewhere. With any other reason it is over.
    """

    process: str
    session: str
    fence: int
    reason: Ended | Literal["moved"]


class SaveStream(Struct, frozen=True):
    """Condition: the room's stream is still of the version that `stream` has, 0 for none. `ended`: what is then to be
    ended.
    """

    stream: Stream
    ended: Ending | None = None


class Recording(Struct, frozen=True, kw_only=True):
    """What is kept of one live (`session`), of the log from `first_pos` to `last_pos` (None while it is live). Its
    files are in `folder`, on the machine that `node` names. Times in milliseconds.

    `hidden` ones were taken down by the platform; `deleted` ones wait for their files to go. `parts`: how many
    MP4 files it is.
    """

    id: str
    room: str
    user: str
    session: str
    title: str
    state: Literal["listed", "unlisted", "hidden", "deleted"]
    started_at: Millis
    length_ms: int
    bytes: int
    width: int
    height: int
    parts: int
    folder: str
    node: str
    first_pos: int
    last_pos: int | None


class ChangeRecording(Struct, frozen=True):
    """Condition: the recording is there, neither hidden nor deleted, unless `state` is `deleted`. None: as it is."""

    id: str
    title: str | None = None
    state: Literal["listed", "unlisted", "deleted"] | None = None


class HideRecordings(Struct, frozen=True):
    """What was recorded of this live, and what will be, is hidden."""

    session: str


Effect = (
    AddInvite
    | RevokeInvite
    | UseInvite
    | AddPending
    | TakePending
    | AddReport
    | React
    | SpaceMessages
    | NoRepeat
    | KeepOwner
    | SaveStream
    | ChangeRecording
    | HideRecordings
)
