"""Who may have what from an edge process: passes, and a gateway's answers."""

import time
from collections import OrderedDict
from collections.abc import Callable

from realtime.auth.identity import BadToken
from realtime.edge.passes import Passes
from realtime.edge.ports import Gateway
from realtime.ports import Clock
from relay.ports import Bearer, Refused
from relay.rights import Rights

REPLAY_KEPT_SECONDS = 1.0
"""Of recordings: that one is hidden or deleted may not have come here."""
MOST = 100_000
"""Answers about recordings kept; beyond that the oldest goes."""


class Access:
    """Live streams by `rights`; of recordings every answer is kept for a moment."""

    def __init__(self, passes: Passes, gateway: Gateway, clock: Clock, monotonic: Callable[[], float] = time.monotonic):
        """`clock` and `monotonic` as of `relay.rights.Rights`."""
        self.rights = Rights(gateway, clock, monotonic)
        self._passes, self._gateway, self._clock, self._monotonic = passes, gateway, clock, monotonic
        self._replays: OrderedDict[tuple[str, str, str, bool], tuple[bool, float]] = OrderedDict()
        self._changes = 0
        """How often other recordings than before might be read: an answer from before is not kept."""

    def bearer(self, text: str, room: str) -> Bearer:
        """Whose pass this is. Raises Refused(`unauthorized`)."""
        try:
            return self._passes.verify(text, room, self._clock())
        except BadToken as error:
            raise Refused("unauthorized", str(error)) from error

    async def viewer(self, text: str, room: str) -> Bearer:
        """The bearer, who may watch the room. Raises Refused: `unauthorized`, `forbidden`, `unavailable`."""
        bearer = self.bearer(text, room)
        if not await self.rights.may_watch(room, bearer):
            raise Refused("forbidden", "You may not watch this room.")
        return bearer

    async def may_replay(self, room: str, recording: str, bearer: Bearer) -> None:
        """Raises Refused: `not_found`, `unavailable`."""
        if self.rights.denies(room, bearer):
            raise Refused("not_found", "No such recording.")
        key = (room, recording, bearer.user, bearer.granted)
        known = self._replays.get(key)
        if known is None or self._monotonic() >= known[1]:
            changes = self._changes
            known = await self._gateway.may_replay(*key), self._monotonic() + REPLAY_KEPT_SECONDS
            if self._changes == changes:
                self._replays[key] = known
                self._replays.move_to_end(key)
                self._forget_old()
        if not known[0]:
            raise Refused("not_found", "No such recording.")

    def _forget_old(self) -> None:
        now = self._monotonic()
        while self._replays and (len(self._replays) > MOST or next(iter(self._replays.values()))[1] <= now):
            self._replays.popitem(last=False)

    def forget_replays(self, room: str) -> None:
        """What was known of the room's recordings is no longer so, and what is being answered is not kept."""
        self._changes += 1
        for key in [key for key in self._replays if key[0] == room]:
            del self._replays[key]
