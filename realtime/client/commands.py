"""Typed helpers for the common commands. All others go by `Client.command`.

What changes something gets a random `key` unless one is given, so it is sent again after a lost connection
and takes effect once.
"""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from realtime.client.errors import ProtocolViolation
from realtime.client.events import Event, Quote, RoomInfo, Unread, User, decode_event

T = TypeVar("T")


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a message: its `pos` and `at` (milliseconds), or `pending` where it is `held` or `delayed`."""

    pos: int | None = None
    at: int | None = None
    held: bool = False
    delayed: bool = False
    pending: str | int | None = None
    duplicate: bool = False


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    emoji: str
    count: int
    mine: bool = False


class ListedMessage(msgspec.Struct, frozen=True, kw_only=True):
    pos: int
    n: int
    at: int
    by: User
    text: str = ""
    mentions: tuple[str, ...] = ()
    reply_to: Quote | None = None
    edited_at: int | None = None
    deleted: bool = False
    pinned: bool = False
    reactions: tuple[Reaction, ...] = ()


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: list[ListedMessage]
    more: bool


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log in ascending `pos`, skips included."""

    events: list[Event]
    more: bool
    first_pos: int
    pos: int
    epoch: str


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    code: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The room that an invite led into; `pos` of the `member.joined`."""

    room: str
    pos: int


class Commander(Protocol):
    async def command(self, type: str, /, *, key: str | None = None, **fields: Any) -> dict[str, Any]: ...


class _Created(msgspec.Struct, frozen=True):
    room: RoomInfo


class _Rooms(msgspec.Struct, frozen=True):
    rooms: list[Unread]


class _At(msgspec.Struct, frozen=True):
    pos: int | None = None


def new_key() -> str:
    """Never used twice: 80 random bits after the time, so that the server's index takes keys in their order."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def read_reply(reply: Mapping[str, Any], shape: type[T]) -> T:
    """`reply` as `shape`. Raises ProtocolViolation naming the field that does not fit."""
    try:
        return msgspec.convert(reply, shape)
    except msgspec.ValidationError as error:
        raise ProtocolViolation(f"reply as {shape.__name__}: {error}") from error


class UserCommands(ABC):
    """Commands that concern no one room, or a room one is not in yet."""

    @abstractmethod
    async def command(self, type: str, /, *, key: str | None = None, **fields: Any) -> dict[str, Any]: ...

    async def create_room(
        self,
        kind: Literal["group", "live"],
        title: str,
        *,
        visibility: Literal["public", "private"] = "private",
        settings: Mapping[str, Any] | None = None,
        room: str | None = None,
        key: str | None = None,
    ) -> RoomInfo:
        """Create a room and own it. `room` (its id) is for platform admins only."""
        reply = await self.command(
            "room.create",
            kind=kind,
            title=title,
            visibility=visibility,
            settings=settings,
            room=room,
            key=key or new_key(),
        )
        return read_reply(reply, _Created).room

    async def accept_invite(self, code: str) -> Accepted:
        return read_reply(await self.command("invite.accept", code=code, key=new_key()), Accepted)

    async def read_list(self) -> list[Unread]:
        """The unread state of all of one's memberships."""
        return read_reply(await self.command("read.list"), _Rooms).rooms


class RoomCommands:
    """Commands of one room. Those that return `int | None` return the `pos` of their event, None where it has none."""

    def __init__(self, commander: Commander, room: str) -> None:
        self.id = room
        self._commander = commander

    async def send(self, text: str, *, reply_to: int | None = None, key: str | None = None) -> Sent:
        """Send a message; `reply_to` is the `pos` of another."""
        reply = await self._commander.command(
            "message.send", room=self.id, text=text, reply_to=reply_to, key=key or new_key()
        )
        return read_reply(reply, Sent)

    async def edit(self, target: int, text: str) -> int | None:
        return await self._change("message.edit", target=target, text=text)

    async def delete(self, target: int, *, reason: str | None = None) -> int | None:
        return await self._change("message.delete", target=target, reason=reason)

    async def react(self, target: int, emoji: str) -> int | None:
        return await self._change("message.react", target=target, emoji=emoji)

    async def unreact(self, target: int, emoji: str) -> int | None:
        return await self._change("message.unreact", target=target, emoji=emoji)

    async def member_join(self) -> int | None:
        """Become a member (entering the room with `async with` only listens)."""
        return await self._change("member.join")

    async def member_leave(self) -> int | None:
        return await self._change("member.leave")

    async def set_role(self, user: str, role: Literal["owner", "moderator", "member"]) -> int | None:
        return await self._change("member.role", user=user, role=role)

    async def mute(self, user: str, *, seconds: int | None = None, reason: str | None = None) -> int | None:
        return await self._change("member.mute", user=user, seconds=seconds, reason=reason)

    async def unmute(self, user: str) -> int | None:
        return await self._change("member.unmute", user=user)

    async def kick(self, user: str, *, reason: str | None = None) -> int | None:
        return await self._change("member.kick", user=user, reason=reason)

    async def ban(
        self, user: str, *, seconds: int | None = None, reason: str | None = None, purge_seconds: int | None = None
    ) -> int | None:
        return await self._change("member.ban", user=user, seconds=seconds, reason=reason, purge_seconds=purge_seconds)

    async def unban(self, user: str) -> int | None:
        return await self._change("member.unban", user=user)

    async def update(self, *, title: str | None = None, settings: Mapping[str, Any] | None = None) -> int | None:
        return await self._change("room.update", title=title, settings=settings)

    async def create_invite(self, *, uses: int | None = None, seconds: int | None = None) -> str:
        """The code of a new invite, good for `uses` people and `seconds`."""
        reply = await self._commander.command("invite.create", room=self.id, uses=uses, seconds=seconds, key=new_key())
        return read_reply(reply, Invite).code

    async def read_mark(self, pos: int) -> None:
        """Mark everything up to `pos` as read."""
        await self._commander.command("read.mark", room=self.id, pos=pos)

    async def messages(
        self,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int | None = None,
    ) -> MessagePage:
        reply = await self._commander.command(
            "message.list", room=self.id, before=before, after=after, around=around, limit=limit
        )
        return read_reply(reply, MessagePage)

    async def log(self, *, after: int | None = None, before: int | None = None, limit: int | None = None) -> LogPage:
        """A page of the room's log (`room.events`)."""
        reply = await self._commander.command("room.events", room=self.id, after=after, before=before, limit=limit)
        page = read_reply(reply, _RawLogPage)
        return LogPage(
            events=[decode_event(raw) for raw in page.events],
            more=page.more,
            first_pos=page.first_pos,
            pos=page.pos,
            epoch=page.epoch,
        )

    async def _change(self, type: str, **fields: Any) -> int | None:
        reply = await self._commander.command(type, room=self.id, key=new_key(), **fields)
        return read_reply(reply, _At).pos


class _RawLogPage(msgspec.Struct, frozen=True):
    events: list[dict[str, Any]]
    more: bool
    first_pos: int
    pos: int
    epoch: str
