"""Commands that only read. Everything that leaves here has gone through `visible` or its equal in the store."""

from typing import Any, assert_never

import msgspec

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.hosting.directory import Directory
from realtime.hosting.host import Host
from realtime.hosting.presence import Presence
from realtime.hosting.retention import Retention
from realtime.hosting.totals import Totals
from realtime.hosting.users import shown as shown_read
from rooms import commands as c
from rooms.actors import Actor, By, Role
from rooms.effects import Pending
from rooms.errors import Rejected
from rooms.events import Logged
from rooms.live import shown_live
from rooms.permissions import authorize
from rooms.visibility import shown


class Queries:
    def __init__(
        self,
        store: ports.Store,
        clock: ports.Clock,
        directory: Directory,
        hub: Hub,
        presence: Presence,
        retention: Retention,
        totals: Totals,
    ):
        self._store = store
        self._clock = clock
        self._directory = directory
        self._hub = hub
        self._presence = presence
        self._retention = retention
        self._totals = totals

    async def answer(self, actor: Actor, command: c.Query) -> dict[str, Any]:
        """What the `ok` reply adds. Raises Rejected, Unavailable."""
        match command:
            case c.RoomList():
                return await self._rooms(actor, command)
            case c.ReadList():
                return {"rooms": [shown_read(state) for state in await self._store.read_states([actor.user])]}
        host = await self._directory.enter(command.room, actor)
        role = authorize(host.room, actor, command, self._clock())
        match command:
            case c.RoomEvents():
                return await self.events(host, actor, command)
            case c.MessageList():
                return await self._messages(host, actor, role, command)
            case c.MessageSearch():
                return await self._search(host, actor, command)
            case c.MemberList():
                return await self._members(host, command)
            case c.InviteList():
                invites = await self._store.invites(host.room.id, self._clock())
                return {"invites": [{"code": i.code, "uses": i.uses, "until": i.until, "by": i.by} for i in invites]}
            case c.PendingList():
                author = None if role >= Role.MODERATOR else actor.user
                pending = await self._store.pending(host.room.id, author)
                return {"pending": [shown_pending(one) for one in pending]}
            case c.PresenceGet():
                return self._presence.snapshot(self._hub, host.room.id)
            case _:
                assert_never(command)

    async def _rooms(self, actor: Actor, command: c.RoomList) -> dict[str, Any]:
        try:
            rows, cursor = await self._store.rooms(
                actor.user,
                mine=command.mine,
                everything=actor.admin and not command.mine,
                kind=command.kind,
                popular=command.sort == "popular",
                cursor=command.cursor,
                limit=command.limit,
            )
        except ValueError as error:
            raise Rejected("bad_request", "This cursor is none of ours.", field="cursor") from error
        elsewhere = await self._totals.listeners_elsewhere(
            [row.id for row in rows if row.id not in self._directory.hosts]
        )
        rooms = []
        for row in rows:
            shown_row = msgspec.to_builtins(row)
            if row.live is not None:
                shown_row["live"] = shown_live(row.id, row.live)
            online = self._presence.online(self._hub, row.id) + elsewhere.get(row.id, 0)
            counts = {"members": shown_row.pop("members"), "online": online}
            rooms.append(shown_row | {"counts": counts})
        return {"rooms": rooms} | ({"cursor": cursor} if cursor else {})

    async def events(self, host: Host, actor: Actor, command: c.RoomEvents) -> dict[str, Any]:
        """A stretch of the log: after a position, before one, or its end."""
        if command.after is not None and command.before is not None:
            raise Rejected("bad_request", "Give `after` or `before`, not both.", field="before")
        room, pos = host.room, host.room.pos
        known = 0
        while True:
            after, to = self._stretch(host, command, pos)
            events = await self._read(host, after, to)
            if len(events) >= to - after or known == host.first_pos:
                break
            known = host.first_pos
            await self._retention.check([host])
        return {
            "events": list(shown(events, room.viewer(actor))),
            "more": to < pos if command.after is not None else after > host.first_pos - 1,
            "first_pos": host.first_pos,
            "pos": pos,
            "epoch": host.epoch,
        }

    @staticmethod
    def _stretch(host: Host, command: c.RoomEvents, pos: int) -> tuple[int, int]:
        """After which position to read, and up to which."""
        floor = host.first_pos - 1
        if command.after is not None:
            after, to = max(command.after, floor), pos
        else:
            to = min(command.before - 1 if command.before is not None else pos, pos)
            after = max(to - command.limit, floor)
        return after, min(to, after + command.limit)

    async def _read(self, host: Host, after: int, to: int) -> list[Logged]:
        return await self._store.events(host.room.id, after=after, to=to, limit=to - after) if after < to else []

    async def _messages(self, host: Host, actor: Actor, role: Role, command: c.MessageList) -> dict[str, Any]:
        if sum(x is not None for x in (command.before, command.after, command.around)) > 1:
            raise Rejected("bad_request", "Give one of `before`, `after` and `around`.", field="before")
        span = ports.Span(
            command.before, command.after, command.around, command.limit, host.room.viewer(actor).from_pos
        )
        page = await self._store.messages(host.room.id, actor.user, span, originals=role >= Role.MODERATOR)
        return {"messages": list(page.messages), "more": page.more}

    async def _search(self, host: Host, actor: Actor, command: c.MessageSearch) -> dict[str, Any]:
        before = None
        if command.cursor is not None:
            if not (command.cursor.isascii() and command.cursor.isdigit() and len(command.cursor) <= 16):
                raise Rejected("bad_request", "This cursor is none of ours.", field="cursor")
            before = int(command.cursor)
        page = await self._store.search(
            host.room.id,
            actor.user,
            command.query,
            before=before,
            limit=command.limit,
            from_pos=host.room.viewer(actor).from_pos,
        )
        cursor = {"cursor": str(min(m.pos for m in page.messages))} if page.more and page.messages else {}
        return {"messages": list(page.messages)} | cursor

    async def _members(self, host: Host, command: c.MemberList) -> dict[str, Any]:
        room = host.room.id
        rows = await self._store.members(room, role=command.role, after=command.cursor or None, limit=command.limit + 1)
        more, rows = len(rows) > command.limit, rows[: command.limit]
        members = [
            msgspec.to_builtins(row) | {"online": self._presence.is_online(self._hub, room, row.id)} for row in rows
        ]
        return {"members": members} | ({"cursor": rows[-1].id} if more else {})


def shown_pending(pending: Pending) -> dict[str, Any]:
    """A waiting message as `pending.list` and `message.pending` show it."""
    actor = pending.actor
    message: dict[str, Any] = {"text": pending.text}
    if pending.reply_to is not None:
        message["reply_to"] = pending.reply_to
    shown_one: dict[str, Any] = {
        "pending": pending.id,
        "room": pending.room,
        "kind": pending.kind,
        "at": pending.at,
        "by": By(actor.user, actor.name, Role.NONE.wire, actor.avatar),
        "message": message,
    }
    if pending.release_at is not None:
        shown_one["release_at"] = pending.release_at
    return shown_one
