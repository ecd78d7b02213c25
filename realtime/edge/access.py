"""Who may watch: passes, and a gateway's answers, kept for a while."""

import asyncio
from collections import OrderedDict

from realtime.auth.identity import BadToken
from realtime.edge.passes import Bearer, Passes
from realtime.edge.ports import Gateway
from realtime.ports import Clock
from relay.ports import Refused

KEPT_MS = 30_000
REPLAY_KEPT_MS = 1_000
"""Of recordings: nobody tells edges of those that are deleted, hidden or unlisted."""
MOST = 100_000
"""Answers kept; beyond that the oldest goes."""

Key = tuple[str, str, bool]
"""Room, user, and whether the user's token alone lets them in."""


class Access:
    """Where no gateway answers, what it last said holds; who is new is refused (`unavailable`) until one does."""

    def __init__(self, passes: Passes, gateway: Gateway, clock: Clock):
        self._passes, self._gateway, self._clock = passes, gateway, clock
        self._known: OrderedDict[Key, tuple[bool, int]] = OrderedDict()
        self._replays: OrderedDict[tuple[str, str, str, bool], tuple[bool, int]] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[bool]] = {}

    def bearer(self, text: str, room: str) -> Bearer:
        """Whose pass this is. Raises Refused(`unauthorized`)."""
        try:
            return self._passes.verify(text, room, self._clock())
        except BadToken as error:
            raise Refused("unauthorized", str(error)) from error

    async def viewer(self, text: str, room: str) -> Bearer:
        """The bearer, who may watch the room. Raises Refused: `unauthorized`, `forbidden`, `unavailable`."""
        bearer = self.bearer(text, room)
        if not await self.may_watch(room, bearer):
            raise Refused("forbidden", "You may not watch this room.")
        return bearer

    async def may_watch(self, room: str, bearer: Bearer) -> bool:
        """Raises Refused(`unavailable`)."""
        if bearer.granted and self._clock() >= bearer.until_ms:
            return False
        key = (room, bearer.user, bearer.granted)
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

    async def may_replay(self, room: str, recording: str, bearer: Bearer) -> None:
        """Raises Refused: `not_found`, `unavailable`."""
        key = (room, recording, bearer.user, bearer.granted)
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
        for granted in (False, True):
            key = (room, user, granted)
            self._known.pop(key, None)
            if (asking := self._asking.pop(key, None)) is not None:
                asking.cancel()

    def refresh(self, room: str) -> None:
        """What was known of anybody there is no longer so."""
        for known, user, _ in [key for key in self._known if key[0] == room]:
            self.revoke(known, user)

    async def _ask(self, key: Key) -> bool:
        """Once, however many ask meanwhile. Where it was revoked meanwhile: no."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._gateway.may_watch(*key))
            task.add_done_callback(lambda done: self._answered(key, done))
        await asyncio.wait([task])
        return False if task.cancelled() else task.result()

    def _answered(self, key: Key, task: asyncio.Task[bool]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
            if not task.cancelled() and task.exception() is None:
                self._known[key] = task.result(), self._clock() + KEPT_MS
                self._known.move_to_end(key)
                if len(self._known) > MOST:
                    self._known.popitem(last=False)
