"""Gives a room the server's own commands about its stream, in the name of its creator."""

import asyncio
from typing import Any

from realtime import ports
from realtime.hosting.directory import Directory
from realtime.hosting.entry import Entry
from rooms.actors import Actor
from rooms.errors import Rejected, not_found
from rooms.live import Internal

TRIES = 5
"""How often, where others are quicker with the same stream."""


class Acting:
    def __init__(self, store: ports.Store, directory: Directory):
        self._store = store
        self._directory = directory

    async def creator(self, room: str, user: str) -> Actor:
        """As the store knows them, with what their last token said for this room. Raises Unavailable."""
        key = await self._store.stream_key(room, user)
        profile = (await self._store.profiles([user])).get(user)
        return Actor(
            user=user,
            name=profile.name if profile else user,
            avatar=profile.avatar if profile else None,
            granted={room: "owner"} if key is not None and key.granted else {},
            kyc=key is not None and key.kyc,
        )

    async def act(self, user: str, command: Internal) -> dict[str, Any]:
        """What the decision replies. Raises Rejected, Unavailable."""
        actor = await self.creator(command.room, user)
        for _ in range(TRIES - 1):
            try:
                return await self._once(actor, command)
            except Rejected as rejected:
                if rejected.code != "unavailable":
                    raise
                await asyncio.sleep((rejected.retry_after_ms or 0) / 1_000)
        return await self._once(actor, command)

    async def act_on(self, room: str, command: Internal) -> dict[str, Any]:
        """The same, in the name of whoever publishes in the room. Raises Rejected, Unavailable."""
        return await self.act((await self._store.stream(room)).user, command)

    async def _once(self, actor: Actor, command: Internal) -> dict[str, Any]:
        host = await self._directory.host(command.room)
        if host is None:
            raise not_found()
        done: asyncio.Future[dict[str, Any] | Rejected] = asyncio.get_running_loop().create_future()

        def answer(reply: dict[str, Any] | Rejected) -> None:
            if not done.done():
                done.set_result(reply)

        host.submit(Entry(actor, command, done, answer))
        reply = await done
        if isinstance(reply, Rejected):
            raise reply
        return reply
