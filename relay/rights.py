"""Who may watch: what gateways have said of it, kept for a while, and whom they have told us to send away."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog
from msgspec import Struct

from relay.ports import Bearer, Refused
from relay.rpc import SECONDS

log = structlog.get_logger("relay.rights")

KEPT_SECONDS = 30.0
DENIED_SECONDS = SECONDS
"""So long after a revocation the user is denied the room, whatever is said: by then everything that was answered
without knowing of it has arrived, or is not waited for any more.
"""
MOST = 100_000
"""Answers kept, and users denied; beyond that the oldest goes."""
ASK_AGAIN_SECONDS = 60.0
"""How often it is asked whether those who watch still may: what revokes somebody may not have come here."""
UNUSED_SECONDS = 2 * ASK_AGAIN_SECONDS
"""An answer that nobody has needed for so long is forgotten: of those who watch it is needed more often."""

Key = tuple[str, str, bool]
"""Room, user, and whether the user's token alone lets them in."""


class _Answer(Struct, gc=False):
    """Holds `until`, and beyond that where no gateway answers. `used`: when it was given, or needed last."""

    may: bool
    until: float
    used: float


class Asked(Protocol):
    """A gateway."""

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        """`granted`: the user's token alone has let them into the room. Raises Refused: no gateway answers."""


class Rights:
    """Where no gateway answers, what it last said holds; who is new is refused (`unavailable`) until one does."""

    def __init__(self, gateway: Asked, clock: Callable[[], int], monotonic: Callable[[], float] = time.monotonic):
        """`clock`, in milliseconds since the Unix epoch, says when a token has ended; everything else goes by
        `monotonic`, in seconds, as clocks are set.
        """
        self.forgotten = 0
        """Denials that were given up before their time, as there were too many."""
        self._gateway, self._clock, self._monotonic = gateway, clock, monotonic
        self._known: OrderedDict[Key, _Answer] = OrderedDict()
        """The longest unused first."""
        self._asking: dict[Key, asyncio.Task[bool]] = {}
        self._denied: OrderedDict[tuple[str, str], float] = OrderedDict()
        """Until when, the earliest first."""

    def denies(self, room: str, bearer: Bearer) -> bool:
        """Whether no gateway need be asked: they were sent away just now, or what let them in has ended."""
        if bearer.granted and self._clock() >= bearer.until_ms:
            return True
        return self._monotonic() < self._denied.get((room, bearer.user), 0.0)

    async def may_watch(self, room: str, bearer: Bearer) -> bool:
        """Raises Refused(`unavailable`)."""
        if self.denies(room, bearer):
            return False
        key = (room, bearer.user, bearer.granted)
        known = self._use(key)
        if known is not None and self._monotonic() < known.until:
            return known.may
        try:
            return await self._ask(key, bearer)
        except Refused:
            known = self._use(key)
            if known is None:
                raise
            return known.may

    async def ask_again(
        self, watching: Callable[[], Iterable[tuple[str, Bearer]]], send_away: Callable[[str, Bearer], None]
    ) -> None:
        """Asks a gateway again and again about all who are `watching` a room, until it is cancelled. Where none answers
        they go on. What is known of those who do not watch any more is forgotten meanwhile.
        """
        while True:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            self._forget()
            refusals: list[str] = []
            for room, bearer in set(watching()):
                try:
                    if self.denies(room, bearer) or not await self._ask((room, bearer.user, bearer.granted), bearer):
                        send_away(room, bearer)
                except Refused as refused:
                    refusals.append(refused.message)  # of one room perhaps: the others are asked about
            if refusals:
                log.warning("not_asked", times=len(refusals), reason=refusals[0])

    def revoke(self, room: str, user: str) -> None:
        """What was known of them is no longer so, and they are denied the room for a while: only time ends that."""
        for granted in (False, True):
            key = (room, user, granted)
            self._known.pop(key, None)
            if (asking := self._asking.pop(key, None)) is not None:
                asking.cancel()
        self._forget()
        self._denied[room, user] = self._monotonic() + DENIED_SECONDS
        self._denied.move_to_end((room, user))
        if len(self._denied) > MOST:
            self._denied.popitem(last=False)
            self.forgotten += 1

    def refresh(self, room: str) -> None:
        """What was known of anybody there is no longer so, and what is being answered is not kept."""
        for key in [key for key in self._known if key[0] == room]:
            del self._known[key]
        for key in [key for key in self._asking if key[0] == room]:
            del self._asking[key]

    def _use(self, key: Key) -> _Answer | None:
        """What is known, which is needed now."""
        known = self._known.get(key)
        if known is not None:
            known.used = self._monotonic()
            self._known.move_to_end(key)
        return known

    def _forget(self) -> None:
        """What has had its time."""
        now = self._monotonic()
        while self._known and next(iter(self._known.values())).used + UNUSED_SECONDS <= now:
            self._known.popitem(last=False)
        while self._denied and next(iter(self._denied.values())) <= now:
            self._denied.popitem(last=False)

    async def _ask(self, key: Key, bearer: Bearer) -> bool:
        """Once, however many ask meanwhile. Where it was revoked meanwhile, though after the answer: no."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._gateway.may_watch(*key))
            task.add_done_callback(lambda done: self._answered(key, done))
        await asyncio.wait([task])
        return not task.cancelled() and task.result() and not self.denies(key[0], bearer)

    def _answered(self, key: Key, task: asyncio.Task[bool]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if self._asking.get(key) is task:
            del self._asking[key]
            if not failed:
                now = self._monotonic()
                self._known[key] = _Answer(task.result(), now + KEPT_SECONDS, now)
                self._known.move_to_end(key)
                if len(self._known) > MOST:
                    self._known.popitem(last=False)
