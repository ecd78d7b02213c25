"""Every command of `galaxy.v1` as a typed value (docs/protocol.md, "Commands")."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from rooms.ids import MAX_SAFE_INTEGER, MAX_SECONDS, Key, Kind, Pos, PosOrZero, RoomId, Seconds, UserId, Visibility
from rooms.settings import SettingsPatch

CommandId = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER)]
Limit = Annotated[int, Meta(ge=1, le=200)]
Text = Annotated[str, Meta(min_length=1, max_length=65_536)]
Title = Annotated[str, Meta(min_length=1, max_length=100)]
Reason = Annotated[str, Meta(max_length=500)]
Cursor = Annotated[str, Meta(max_length=200)]
Emoji = Annotated[str, Meta(min_length=1, max_length=64)]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
PendingId = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(max_length=16_384)]
PurgeSeconds = Annotated[int, Meta(ge=1, le=604_800)]
Category = Annotated[str, Meta(max_length=64)]
RecordingId = Annotated[str, Meta(min_length=1, max_length=64)]
DestinationId = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Url = Annotated[str, Meta(min_length=1, max_length=500)]
StreamKey = Annotated[str, Meta(min_length=1, max_length=500)]
GrantableRole = Literal["owner", "moderator", "member"]


class Command(Struct, frozen=True, gc=False, kw_only=True, tag_field="type"):
    """A command; `id` is echoed by its one reply. Where `id_optional`, leaving `id` out asks for no reply."""

    id_optional: ClassVar[bool] = False

    id: CommandId | None = None


class RoomCommand(Command, frozen=True, kw_only=True):
    room: RoomId


class Change(Command, frozen=True, kw_only=True):
    """A command that changes something; the same `key` within 24 hours changes it once."""

    key: Key | None = None


class RoomChange(Change, frozen=True, kw_only=True):
    room: RoomId


# Connection


class Hello(Command, frozen=True, kw_only=True, tag="hello"):
    token: Token | None = None


class Ping(Command, frozen=True, kw_only=True, tag="ping"):
    pass


class Refresh(Command, frozen=True, kw_only=True, tag="refresh"):
    token: Token


class TicketCreate(RoomCommand, frozen=True, kw_only=True, tag="ticket.create"):
    pass


# Rooms


class RoomCreate(Change, frozen=True, kw_only=True, tag="room.create"):
    kind: Kind
    title: Title
    visibility: Visibility
    settings: SettingsPatch = SettingsPatch()
    room: RoomId | None = None


class RoomUpdate(RoomChange, frozen=True, kw_only=True, tag="room.update"):
    title: Title | None = None
    settings: SettingsPatch = SettingsPatch()


class RoomClose(RoomChange, frozen=True, kw_only=True, tag="room.close"):
    pass


class RoomList(Command, frozen=True, kw_only=True, tag="room.list"):
    mine: bool = False
    kind: Kind | None = None
    sort: Literal["recent", "popular"] = "recent"
    cursor: Cursor | None = None
    limit: Limit = 50


class Since(Struct, frozen=True):
    epoch: Annotated[str, Meta(max_length=64)]
    pos: PosOrZero


class RoomJoin(RoomCommand, frozen=True, kw_only=True, tag="room.join"):
    since: Since | None = None


class RoomLeave(RoomCommand, frozen=True, kw_only=True, tag="room.leave"):
    pass


class RoomEvents(RoomCommand, frozen=True, kw_only=True, tag="room.events"):
    after: PosOrZero | None = None
    before: Pos | None = None
    limit: Limit = 50


# Invites


class InviteCreate(RoomChange, frozen=True, kw_only=True, tag="invite.create"):
    uses: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    seconds: Seconds | None = None


class InviteList(RoomCommand, frozen=True, kw_only=True, tag="invite.list"):
    pass


class InviteRevoke(RoomChange, frozen=True, kw_only=True, tag="invite.revoke"):
    code: Code


class InviteAccept(Change, frozen=True, kw_only=True, tag="invite.accept"):
    code: Code


# Members


class MemberJoin(RoomChange, frozen=True, kw_only=True, tag="member.join"):
    pass


class MemberLeave(RoomChange, frozen=True, kw_only=True, tag="member.leave"):
    pass


class MemberList(RoomCommand, frozen=True, kw_only=True, tag="member.list"):
    role: GrantableRole | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class MemberRole(RoomChange, frozen=True, kw_only=True, tag="member.role"):
    user: UserId
    role: GrantableRole


class MemberMute(RoomChange, frozen=True, kw_only=True, tag="member.mute"):
    user: UserId
    seconds: Seconds | None = None
    reason: Reason | None = None


class MemberUnmute(RoomChange, frozen=True, kw_only=True, tag="member.unmute"):
    user: UserId


class MemberKick(RoomChange, frozen=True, kw_only=True, tag="member.kick"):
    user: UserId
    reason: Reason | None = None


class MemberBan(RoomChange, frozen=True, kw_only=True, tag="member.ban"):
    user: UserId
    seconds: Seconds | None = None
    reason: Reason | None = None
    purge_seconds: PurgeSeconds | None = None


class MemberUnban(RoomChange, frozen=True, kw_only=True, tag="member.unban"):
    user: UserId


# Messages


class MessageSend(RoomChange, frozen=True, kw_only=True, tag="message.send"):
    text: Text
    reply_to: Pos | None = None


class MessageEdit(RoomChange, frozen=True, kw_only=True, tag="message.edit"):
    target: Pos
    text: Text


class MessageDelete(RoomChange, frozen=True, kw_only=True, tag="message.delete"):
    target: Pos
    reason: Reason | None = None


class MessageReact(RoomChange, frozen=True, kw_only=True, tag="message.react"):
    target: Pos
    emoji: Emoji


class MessageUnreact(RoomChange, frozen=True, kw_only=True, tag="message.unreact"):
    target: Pos
    emoji: Emoji


class MessagePin(RoomChange, frozen=True, kw_only=True, tag="message.pin"):
    target: Pos
    seconds: Seconds | None = None


class MessageUnpin(RoomChange, frozen=True, kw_only=True, tag="message.unpin"):
    target: Pos


class MessageList(RoomCommand, frozen=True, kw_only=True, tag="message.list"):
    before: Pos | None = None
    after: PosOrZero | None = None
    around: Pos | None = None
    limit: Limit = 50


class MessageSearch(RoomCommand, frozen=True, kw_only=True, tag="message.search"):
    query: Annotated[str, Meta(min_length=1, max_length=200)]
    cursor: Cursor | None = None
    limit: Limit = 50


# Pending messages


class PendingList(RoomCommand, frozen=True, kw_only=True, tag="pending.list"):
    pass


class MessageApprove(RoomChange, frozen=True, kw_only=True, tag="message.approve"):
    pending: PendingId


class MessageDeny(RoomChange, frozen=True, kw_only=True, tag="message.deny"):
    pending: PendingId


# Reading, presence, reports


class ReadMark(RoomCommand, frozen=True, kw_only=True, tag="read.mark"):
    id_optional: ClassVar[bool] = True

    pos: PosOrZero


class ReadList(Command, frozen=True, kw_only=True, tag="read.list"):
    pass


class Typing(RoomCommand, frozen=True, kw_only=True, tag="typing"):
    id_optional: ClassVar[bool] = True


class PresenceGet(RoomCommand, frozen=True, kw_only=True, tag="presence.get"):
    pass


class ReportCreate(RoomChange, frozen=True, kw_only=True, tag="report.create"):
    reason: Annotated[str, Meta(min_length=1, max_length=100)]
    target: Pos | None = None
    user: UserId | None = None
    text: Annotated[str, Meta(max_length=2_000)] | None = None


# Live


class LiveStart(RoomChange, frozen=True, kw_only=True, tag="live.start"):
    title: Title | None = None
    category: Category | None = None
    mature: bool | None = None
    test: bool = False


class LiveStop(RoomChange, frozen=True, kw_only=True, tag="live.stop"):
    pass


class LiveTakedown(RoomChange, frozen=True, kw_only=True, tag="live.takedown"):
    pass


class LiveGet(RoomCommand, frozen=True, kw_only=True, tag="live.get"):
    pass


class LiveKey(RoomCommand, frozen=True, kw_only=True, tag="live.key"):
    rotate: bool = False


class DestinationAdd(Command, frozen=True, kw_only=True, tag="live.destination.add"):
    """These take no idempotency key: what they hold and answer must not be kept."""

    name: Name
    url: Url
    stream_key: StreamKey
    enabled: bool = True


class DestinationUpdate(Command, frozen=True, kw_only=True, tag="live.destination.update"):
    destination: DestinationId
    name: Name | None = None
    url: Url | None = None
    stream_key: StreamKey | None = None
    enabled: bool | None = None


class DestinationRemove(Command, frozen=True, kw_only=True, tag="live.destination.remove"):
    destination: DestinationId


class DestinationList(Command, frozen=True, kw_only=True, tag="live.destination.list"):
    pass


class RecordingList(RoomCommand, frozen=True, kw_only=True, tag="recording.list"):
    cursor: Cursor | None = None
    limit: Limit = 50


class RecordingUpdate(RoomChange, frozen=True, kw_only=True, tag="recording.update"):
    recording: RecordingId
    title: Title | None = None
    listed: bool | None = None


class RecordingDelete(RoomChange, frozen=True, kw_only=True, tag="recording.delete"):
    recording: RecordingId


class UserLogout(Command, frozen=True, kw_only=True, tag="user.logout"):
    """Ends all sessions of the user (admins: of any user): tokens issued until now are refused from now on."""

    user: UserId | None = None


ConnectionCommand = Hello | Ping | Refresh | RoomJoin | RoomLeave
"""Commands that concern one connection; HTTP refuses them."""

Query = (
    RoomList | RoomEvents | MemberList | InviteList | MessageList | MessageSearch | PendingList | ReadList | PresenceGet
)
"""Commands that only read."""

Decided = (
    RoomCreate
    | RoomUpdate
    | RoomClose
    | InviteCreate
    | InviteRevoke
    | InviteAccept
    | MemberJoin
    | MemberLeave
    | MemberRole
    | MemberMute
    | MemberUnmute
    | MemberKick
    | MemberBan
    | MemberUnban
    | MessageSend
    | MessageEdit
    | MessageDelete
    | MessageReact
    | MessageUnreact
    | MessagePin
    | MessageUnpin
    | MessageApprove
    | MessageDeny
    | ReportCreate
    | LiveStart
    | LiveStop
    | LiveTakedown
    | RecordingUpdate
    | RecordingDelete
)
"""Commands that `rooms.decide` decides: the Changes, by which they are told from others at a tenth of the price."""

OfCreators = (
    LiveGet | LiveKey | DestinationAdd | DestinationUpdate | DestinationRemove | DestinationList | RecordingList
)
"""Commands about streams that are no part of a room's log."""

AnyCommand = ConnectionCommand | Query | Decided | OfCreators | TicketCreate | ReadMark | Typing | UserLogout

assert MAX_SECONDS * 1000 < MAX_SAFE_INTEGER  # noqa: S101 - a deadline stays a safe integer
