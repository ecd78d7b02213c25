"""Who may watch: passes, and a gateway's answers, kept for a while."""

import asyncio
from collections import OrderedDict

from realtime.auth.identity import BadToken
from realtime.edge.passes import Passes
from realtime.edge.ports import Gateway
from realtime.ports import Clock
from relay.ports import Refused

KEPT_MS = 30_000
REPLAY_KEPT_MS = 1_000
"""Of recordings: nobody tells edges of those that are deleted, hidden or unlisted."""
MOST = 100_000
"""Answers kept; beyond that the oldest goes."""


class Access:
    """Where no gateway answers, what it last said holds; who is new is refused (`unavailable`) until one does."""

    def __init__(self, passes: Passes, gateway: Gateway, clock: Clock):
        self._passes, self._gateway, self._clock = passes, gateway, clock
        self._known: OrderedDict[tuple[str, str], tuple[bool, int]] = OrderedDict()
        self._replays: OrderedDict[tuple[str, str, str], tuple[bool, int]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[bool]] = {}

    def bearer(self, text: str, room: str) -> str:
        """The user who bears the pass. Raises Refused(`unauthorized`)."""
        try:
            return self._passes.verify(text, room, self._clock())
        except BadToken as error:
            raise Refused("unauthorized", str(error)) from error

    async def viewer(self, text: str, room: str) -> str:
        """The bearer, who may watch the room. Raises Refused: `unauthorized`, `forbidden`, `unavailable`."""
        user = self.bearer(text, room)
        if not await self.may_watch(room, user):
            raise Refused("forbidden", "You may not watch this room.")
        return user

    async def may_watch(self, room: str, user: str) -> bool:
        """Raises Refused(`unavailable`)."""
        key = (room, user)
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        try:
            return await self._ask(key)
        except Refused:
            known = self._known.get(key)
            if known is None:
                raise
            return known[0]

    async def may_replay(self, room: str, recording: str, user: str) -> None:
        """Raises Refused: `not_found`, `unavailable`."""
        key = (room, recording, user)
        known = self._replays.get(key)
        if known is None or self._clock() >= known[1]:
            known = await self._gateway.may_replay(*key), self._clock() + REPLAY_KEPT_MS
            self._replays[key] = known
            self._replays.move_to_end(key)
            if len(self._replays) > MOST:
                self._replays.popitem(last=False)
        if not known[0]:
            raise Refused("not_found", "No such recording.")

    def revoke(self, room: str, user: str) -> None:
        """What was known of them is no longer so."""
        self._known.pop((room, user), None)
        if (asking := self._asking.pop((room, user), None)) is not None:
            asking.cancel()

    def refresh(self, room: str) -> None:
        """What was known of anybody there is no longer so."""
        for known, user in [key for key in self._known if key[0] == room]:
            self.revoke(known, user)

    async def _ask(self, key: tuple[str, str]) -> bool:
        """Once, however many ask meanwhile. Where it was revoked meanwhile: no."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._gateway.may_watch(*key))
            task.add_done_callback(lambda done: self._answered(key, done))
        await asyncio.wait([task])
        return False if task.cancelled() else task.result()

    def _answered(self, key: tuple[str, str], task: asyncio.Task[bool]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
            if not task.cancelled() and task.exception() is None:
                self._known[key] = task.result(), self._clock() + KEPT_MS
                self._known.move_to_end(key)
                if len(self._known) > MOST:
                    self._known.popitem(last=False)
