"""What happens by the clock: announcements each second, delayed messages in their time, keeping up with other nodes."""

import asyncio
from typing import Any, Protocol

import structlog

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.fanout.rings import Rings
from realtime.hosting.aftermath import Aftermath
from realtime.hosting.directory import Directory
from realtime.hosting.entry import Entry
from realtime.hosting.following import Following
from realtime.hosting.host import Host
from realtime.hosting.joining import Joining
from realtime.hosting.mending import Mending
from realtime.hosting.presence import Presence
from realtime.hosting.retention import Retention
from realtime.hosting.totals import Totals
from realtime.hosting.users import Users
from rooms.decide import Release
from rooms.effects import Pending
from rooms.errors import Rejected, not_found

log = structlog.get_logger("realtime.upkeep")

TICK_SECONDS = 1.0
RELEASE_SECONDS = 0.25
RELEASED_TOGETHER = 256
FAILED_SECONDS = 10.0
PRUNED_SECONDS = 30.0
"""How long a room may be taken for kept further back than it is, where nobody reads that far."""
KEPT_KEYS_MS = 24 * 3_600_000
REACTIONS_A_TICK = 100
"""Messages whose counts of reactions are read and sent in one tick, over all live rooms; others wait for the next."""


class Surroundings(Protocol):
    store: ports.Store
    clock: ports.Clock
    directory: Directory
    hub: Hub
    rings: Rings
    retention: Retention
    users: Users
    presence: Presence
    following: Following
    joining: Joining
    mending: Mending
    totals: Totals
    aftermath: Aftermath
    typing: set[tuple[str, str]]

    def tell_room(self, room: str, event: dict[str, Any]) -> None:
        """An ephemeral event for all who listen, on all nodes."""


class Upkeep:
    def __init__(self, around: Surroundings):
        self._around = around
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        around = self._around
        for work in (
            self._every_tick,
            self._tell_users,
            self._release_due,
            self._note_pruning,
            around.following.run,
            around.mending.run,
        ):
            self._tasks.add(asyncio.create_task(work(), name=work.__name__))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _every_tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._around.typing.clear()
            self._around.presence.announce(self._around.hub)
            self._around.totals.tick(self._around.users.online, self._around.hub.channels)
            self._around.hub.tell_sampled()
            for room in self._around.directory.let_go(self._around.hub.channels):
                self._around.rings.drop(room)

    async def _tell_users(self) -> None:
        """Beside the tick, which does not wait for the store."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._around.users.announce()
                await self._announce_reactions()
            except ports.Unavailable as error:
                log.warning("tick_incomplete", error=str(error))
            except Exception:
                log.exception("tick_failed")

    async def _note_pruning(self) -> None:
        while True:
            await asyncio.sleep(PRUNED_SECONDS)
            try:
                await self._around.retention.check([*self._around.directory.hosts.values()])
            except ports.Unavailable as error:
                log.warning("pruning_not_noted", error=str(error))

    async def _announce_reactions(self) -> None:
        """Live rooms: the counts that have changed, at most once a second for a message."""
        for _ in range(min(REACTIONS_A_TICK, len(self._around.aftermath.reacted))):
            (room, target), _none = self._around.aftermath.reacted.popitem(last=False)
            if room in self._around.directory.hosts:
                try:
                    counts = await self._around.store.reactions(room, target)
                except ports.Unavailable:
                    self._around.aftermath.reacted[room, target] = None
                    raise
                self._around.tell_room(room, {"type": "reactions", "room": room, "target": target, "counts": counts})

    async def _release_due(self) -> None:
        """Lets delayed messages go when their time has come, and forgets old keys every hour."""
        forgotten_at = 0
        while True:
            await asyncio.sleep(RELEASE_SECONDS)
            now = self._around.clock()
            try:
                due = await self._around.store.due(now, RELEASED_TOGETHER)
                # Together: those of one room are decided in one batch, in their order.
                await asyncio.gather(*(self._release(pending) for pending in due))
                if now - forgotten_at > 3_600_000:
                    forgotten_at = now
                    await self._around.store.forget_keys(now - KEPT_KEYS_MS)
            except ports.Unavailable as error:
                log.warning("release_waits", error=str(error))
            except Exception:
                log.exception("release_failed")
                await asyncio.sleep(FAILED_SECONDS)

    async def _release(self, pending: Pending) -> None:
        """Publishes a message whose time has come, or drops it where its author has lost the right to it. One that
        cannot be written now stays due. One that another node, or a moderator, was quicker with is no more there.
        """
        host = await self._around.directory.host(pending.room)
        refusal = not_found() if host is None else await _released(host, pending)
        if host is not None and refusal is not None and refusal.code not in ("unavailable", "internal"):
            # Perhaps it was refused for what is not so any more, and another node knows: only the log may drop it.
            await self._around.joining.catch_up(host)
            refusal = await _released(host, pending)
        if refusal is None or refusal.code == "unavailable":
            return
        if refusal.code == "internal":
            raise RuntimeError(f"pending message {pending.id} cannot be released")
        if await self._around.store.discard_pending(pending.id):
            self._around.aftermath.resolved(pending.actor.user, pending.id, "refused", None)


async def _released(host: Host, pending: Pending) -> Rejected | None:
    """Why the message was not released; None where it was."""
    done: asyncio.Future[dict[str, Any] | Rejected] = asyncio.get_running_loop().create_future()

    def answer(reply: dict[str, Any] | Rejected) -> None:
        if not done.done():
            done.set_result(reply)

    try:
        host.submit(Entry(pending.actor, Release(pending), done, answer))
    except Rejected as full:
        return full
    reply = await done
    return reply if isinstance(reply, Rejected) else None
