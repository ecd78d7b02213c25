"""What the server says, as strict types: every reply and every event outside of the log (docs/protocol.md).

The server builds these objects by hand; here their fields stand as types, which docs/asyncapi.json is made from and
which tests decode real replies with. Unknown fields are refused, so that nothing is said that is not described.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from realtime import ports
from rooms.actors import By
from rooms.errors import Code
from rooms.events import Logged, Media, Quote, RoomInfo, Skip
from rooms.ids import Kind, Millis, Pos, PosOrZero, Visibility
from rooms.settings import Settings

Optional = UnsetType
"""For a field that may be left out, and is never null."""
RoomRole = Literal["owner", "moderator", "member", "none"]


class Said(Struct, forbid_unknown_fields=True, kw_only=True):
    pass


# Parts


class User(Said, kw_only=True):
    id: str
    name: str
    avatar: str | Optional = UNSET


class Self(User, kw_only=True):
    """The connection's own user; `id` is empty for a viewer who has given no name. `roles` are the platform's."""

    roles: list[Literal["admin"]]


class WelcomeLimits(Said, kw_only=True):
    """The server's limits that clients need; bytes, counts and seconds. 0: none, where the config allows it."""

    message_bytes: int
    rooms_per_connection: int
    commands_per_second: int
    commands_burst: int
    recover_events: int
    recover_bytes: int
    presence_names: int
    edit_seconds: int


class Counts(Said, kw_only=True):
    members: int
    online: int


class ShownLive(Said, kw_only=True):
    """`interrupted`: since when the creator is gone, where that is so."""

    session: str
    title: str
    since: Millis
    media: Media
    category: str | Optional = UNSET
    mature: bool | Optional = UNSET
    interrupted: Millis | Optional = UNSET


class JoinedRoom(Said, kw_only=True):
    id: str
    kind: Kind
    title: str
    visibility: Visibility
    settings: Settings
    counts: Counts
    pins: list[Pos]
    closed: bool | Optional = UNSET
    live: ShownLive | Optional = UNSET


class You(Said, kw_only=True):
    """`muted` without `muted_until`: until somebody unmutes you."""

    role: RoomRole
    read_pos: PosOrZero
    muted: bool | Optional = UNSET
    muted_until: Millis | Optional = UNSET


class ListedRoom(Said, kw_only=True):
    """`at` is the time of the latest event, `role` yours."""

    id: str
    kind: Kind
    title: str
    visibility: Visibility
    settings: Settings
    counts: Counts
    pos: Pos
    at: Millis
    closed: bool | Optional = UNSET
    live: ShownLive | Optional = UNSET
    role: RoomRole | Optional = UNSET


class ListedInvite(Said, kw_only=True):
    """`uses` is how many are left (null: no bound), `until` its end (null: none)."""

    code: str
    uses: int | None
    until: Millis | None
    by: str


class ListedMember(User, kw_only=True):
    role: Literal["owner", "moderator", "member"]
    online: bool
    muted_until: Millis | Optional = UNSET


class ListedMessage(Said, kw_only=True):
    """A deleted one has neither text nor mentions, reply or reactions. `originals` are for moderators."""

    pos: Pos
    n: int
    at: Millis
    by: By
    text: str | Optional = UNSET
    mentions: list[str] | Optional = UNSET
    reply_to: Quote | Optional = UNSET
    edited_at: Millis | Optional = UNSET
    deleted: bool | Optional = UNSET
    pinned: bool | Optional = UNSET
    reactions: list[ports.Reaction] | Optional = UNSET
    originals: list[ports.Original] | Optional = UNSET


class WaitingText(Said, kw_only=True):
    text: str
    reply_to: Pos | Optional = UNSET


class Waiting(Said, kw_only=True):
    """A message that waits: `held` for a moderator, `delayed` until `release_at`."""

    pending: str
    room: str
    kind: Literal["held", "delayed"]
    at: Millis
    by: By
    message: WaitingText
    release_at: Millis | Optional = UNSET


class ReadRoom(Said, kw_only=True):
    room: str
    unread: int
    mentions: int
    read_pos: PosOrZero


class ShownStream(Said, kw_only=True):
    """What is prepared, and who publishes where somebody does."""

    state: Literal["idle", "stopped", "admitted", "flowing", "interrupted"]
    title: str
    mature: bool
    test: bool
    category: str | Optional = UNSET
    user: str | Optional = UNSET
    session: str | Optional = UNSET
    started_at: Millis | Optional = UNSET


class ShownDestination(Said, kw_only=True):
    id: str
    name: str
    url: str
    enabled: bool


class ShownRecording(Said, kw_only=True):
    """`hls`, `mp4` and `poster` are paths on this server. Without `last_pos` while the live goes on."""

    id: str
    session: str
    user: str
    title: str
    state: Literal["listed", "unlisted", "hidden"]
    started_at: Millis
    length_ms: int
    bytes: int
    width: int
    height: int
    parts: int
    first_pos: Pos
    hls: str
    mp4: str
    poster: str
    last_pos: Pos | Optional = UNSET


# Replies


class Welcome(Said, tag_field="type", tag="welcome", kw_only=True):
    """The answer to `hello`, with its `id`; without one where the token came with the request."""

    id: int | Optional = UNSET
    session: str
    user: Self
    server_time: Millis
    limits: WelcomeLimits
    heartbeat_ms: int


class Error(Said, tag_field="type", tag="error", kw_only=True):
    """`field` names the field or the setting at fault. Without `id` where the command's cannot be read."""

    id: int | Optional = UNSET
    code: Code
    message: str
    retry: bool
    retry_after_ms: int | Optional = UNSET
    field: str | Optional = UNSET


class Ok(Said, tag_field="type", tag="ok", kw_only=True):
    id: int


class OkChange(Ok, kw_only=True):
    """`duplicate`: the same key came before and this is the first reply, or there was nothing to change."""

    duplicate: bool | Optional = UNSET


class OkLogged(OkChange, kw_only=True):
    """`pos`: the event's; the room's present one where there was nothing to change."""

    pos: Pos


class OkPing(Ok, kw_only=True):
    server_time: Millis


class OkTicket(Ok, kw_only=True):
    ticket: str


class OkRoomCreate(OkChange, kw_only=True):
    room: RoomInfo


class OkRoomList(Ok, kw_only=True):
    rooms: list[ListedRoom]
    cursor: str | Optional = UNSET


class OkRoomJoin(Ok, kw_only=True):
    room: JoinedRoom
    you: You
    epoch: str
    pos: Pos
    first_pos: Pos
    recovered: bool
    events: list[Logged | Skip]


class OkRoomEvents(Ok, kw_only=True):
    events: list[Logged | Skip]
    more: bool
    first_pos: Pos
    pos: Pos
    epoch: str


class OkInviteCreate(OkChange, kw_only=True):
    code: str


class OkInviteList(Ok, kw_only=True):
    invites: list[ListedInvite]


class OkInviteAccept(OkLogged, kw_only=True):
    room: str


class OkMemberList(Ok, kw_only=True):
    members: list[ListedMember]
    cursor: str | Optional = UNSET


class OkMessageSend(OkChange, kw_only=True):
    """`pos` and `at` of a published message; or `held` or `delayed`, and `pending`."""

    pos: Pos | Optional = UNSET
    at: Millis | Optional = UNSET
    held: bool | Optional = UNSET
    delayed: bool | Optional = UNSET
    pending: str | Optional = UNSET


class OkMessageApprove(OkLogged, kw_only=True):
    at: Millis


class OkReaction(OkChange, kw_only=True):
    """No `pos` in live rooms."""

    pos: Pos | Optional = UNSET


class OkMessageList(Ok, kw_only=True):
    messages: list[ListedMessage]
    more: bool


class OkMessageSearch(Ok, kw_only=True):
    messages: list[ListedMessage]
    cursor: str | Optional = UNSET


class OkPendingList(Ok, kw_only=True):
    pending: list[Waiting]


class OkRead(Ok, kw_only=True):
    rooms: list[ReadRoom]


class OkPresence(Ok, kw_only=True):
    online: int
    names: list[User] | Optional = UNSET


class OkReport(OkChange, kw_only=True):
    report: str


class OkLiveGet(Ok, kw_only=True):
    stream: ShownStream


class OkLiveKey(Ok, kw_only=True):
    key: str
    whip: str
    rtmp: str


class OkDestination(Ok, kw_only=True):
    destination: ShownDestination


class OkDestinationList(Ok, kw_only=True):
    destinations: list[ShownDestination]


class OkRecordingList(Ok, kw_only=True):
    recordings: list[ShownRecording]
    cursor: str | Optional = UNSET


REPLIES: dict[str, type[Welcome | Ok]] = {
    "hello": Welcome,
    "ping": OkPing,
    "refresh": Ok,
    "ticket.create": OkTicket,
    "user.logout": Ok,
    "room.create": OkRoomCreate,
    "room.update": OkLogged,
    "room.close": OkLogged,
    "room.list": OkRoomList,
    "room.join": OkRoomJoin,
    "room.leave": Ok,
    "room.events": OkRoomEvents,
    "invite.create": OkInviteCreate,
    "invite.list": OkInviteList,
    "invite.revoke": OkChange,
    "invite.accept": OkInviteAccept,
    "member.join": OkLogged,
    "member.leave": OkLogged,
    "member.list": OkMemberList,
    "member.role": OkLogged,
    "member.mute": OkLogged,
    "member.unmute": OkLogged,
    "member.kick": OkLogged,
    "member.ban": OkLogged,
    "member.unban": OkLogged,
    "message.send": OkMessageSend,
    "message.edit": OkLogged,
    "message.delete": OkLogged,
    "message.react": OkReaction,
    "message.unreact": OkReaction,
    "message.pin": OkLogged,
    "message.unpin": OkLogged,
    "message.list": OkMessageList,
    "message.search": OkMessageSearch,
    "pending.list": OkPendingList,
    "message.approve": OkMessageApprove,
    "message.deny": OkChange,
    "read.mark": OkRead,
    "read.list": OkRead,
    "typing": Ok,
    "presence.get": OkPresence,
    "report.create": OkReport,
    "live.start": OkLogged,
    "live.stop": OkLogged,
    "live.takedown": OkLogged,
    "live.get": OkLiveGet,
    "live.key": OkLiveKey,
    "live.destination.add": OkDestination,
    "live.destination.update": OkDestination,
    "live.destination.remove": Ok,
    "live.destination.list": OkDestinationList,
    "recording.list": OkRecordingList,
    "recording.update": OkChange,
    "recording.delete": OkChange,
}
"""Command type → its reply where it succeeds."""


# Events outside of the log


class RoomRemoved(Said, tag_field="type", tag="room.removed", kw_only=True):
    """Your subscription of the room has ended."""

    room: str
    code: Literal["kicked", "banned", "closed", "revoked"]
    reason: str | Optional = UNSET
    until: Millis | Optional = UNSET


class TypingNow(Said, tag_field="type", tag="typing", kw_only=True):
    room: str
    user: str
    by: By


class Presence(Said, tag_field="type", tag="presence", kw_only=True):
    """Who came and went since the last one; `joined` and `left` only below `limits.presence_names` people."""

    room: str
    online: int
    joined: list[User] | Optional = UNSET
    left: list[User] | Optional = UNSET


class Reactions(Said, tag_field="type", tag="reactions", kw_only=True):
    """Live rooms: emoji → how many, of the message at `target`."""

    room: str
    target: Pos
    counts: dict[str, int]


class CommentsSampled(Said, tag_field="type", tag="comments.sampled", kw_only=True):
    """Live rooms: of `total` comments in the last second, by others than moderators and owners, everybody was shown
    `shown`; `room.skip` stands for the others.
    """

    room: str
    shown: int
    total: int


class UserUpdated(Said, tag_field="type", tag="user.updated", kw_only=True):
    """Somebody in the room goes by another name or avatar."""

    room: str
    user: User


class UserChanged(Said, tag_field="type", tag="user.changed", kw_only=True):
    """Your counts in these rooms have changed."""

    rooms: list[ReadRoom]


class Mention(Said, tag_field="type", tag="mention", kw_only=True):
    room: str
    pos: Pos


class MessagePending(Waiting, tag_field="type", tag="message.pending", kw_only=True):
    """To moderators: a message waits."""


class PendingResolved(Said, tag_field="type", tag="pending.resolved", kw_only=True):
    """Your waiting message was published (`approved` by a moderator, `released` in its time), or will never be."""

    pending: str
    outcome: Literal["approved", "denied", "released", "refused"]
    pos: Pos | Optional = UNSET


class LiveViewers(Said, tag_field="type", tag="live.viewers", kw_only=True):
    """Who watches now, the most at once, and how many different ones since the live began."""

    room: str
    now: int
    peak: int
    unique: int


class LiveHealth(Said, tag_field="type", tag="live.health", kw_only=True):
    """To the creator: the last seconds of what comes in. Null where the way of publishing cannot tell."""

    room: str
    kbit: int
    fps: float
    width: int
    height: int
    video: str
    audio: str
    keyframe_ms: int
    loss_percent: float | None = None
    round_trip_ms: float | None = None
    advice: list[str]


class LiveDestination(Said, tag_field="type", tag="live.destination", kw_only=True):
    """To the creator: how the push to one of their destinations does."""

    room: str
    id: str
    name: str
    url: str
    state: Literal["connecting", "live", "retrying", "refused", "stopped"]
    kbit: int
    dropped: int
    error: str


class LiveWarning(Said, tag_field="type", tag="live.warning", kw_only=True):
    """To the creator, for people to read."""

    room: str
    message: str


class TokenExpiring(Said, tag_field="type", tag="token.expiring", kw_only=True):
    expires_at: Millis


class Reconnect(Said, tag_field="type", tag="reconnect", kw_only=True):
    """The server shuts down: open a new connection at a random moment within this time, then close this one."""

    within_ms: int


Ephemeral = (
    RoomRemoved
    | TypingNow
    | Presence
    | Reactions
    | CommentsSampled
    | UserUpdated
    | UserChanged
    | Mention
    | MessagePending
    | PendingResolved
    | LiveViewers
    | LiveHealth
    | LiveDestination
    | LiveWarning
    | TokenExpiring
    | Reconnect
)
