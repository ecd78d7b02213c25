"""Those who are being sent something of a recording: a film of hours takes its time."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

import structlog
from msgspec import Struct

from realtime.edge.access import Access
from relay import rights
from relay.ports import Bearer, Refused

log = structlog.get_logger("realtime.edge")

SURE_SECONDS = 0.9
"""By then who may not read on has been cut off, however slow gateways are: within the second."""
AT_ONCE = 32
"""Questions to gateways at a time, of the calls that may be under way."""


class Reader(Struct, frozen=True, eq=False):
    """One request. `abort` ends its connection: of what is under way nothing more is sent."""

    room: str
    recording: str
    bearer: Bearer
    abort: Callable[[], None]


class Readers:
    """Cut off as soon as they may not read any more: who was sent away, and whoever reads what is hidden or deleted."""

    def __init__(self, access: Access):
        self.all: set[Reader] = set()
        self._access = access

    @contextmanager
    def reading(self, reader: Reader) -> Iterator[None]:
        """To be entered before it is asked whether they may, and left when all is sent: what changes in between is not
        missed.
        """
        self.all.add(reader)
        try:
            yield
        finally:
            self.all.discard(reader)

    def revoke(self, room: str, user: str) -> None:
        for reader in [one for one in self.all if (one.room, one.bearer.user) == (room, user)]:
            reader.abort()

    async def changed(self, room: str) -> None:
        """Of the room's recordings others may be read now. Whom no gateway lets read on in SURE_SECONDS is cut off."""
        self._access.forget_replays(room)
        doubted = {one for one in self.all if one.room == room}
        with suppress(TimeoutError):
            async with asyncio.timeout(SURE_SECONDS):
                await self._ask(doubted, lambda reader, code: doubted.discard(reader) if not code else None)
        for reader in doubted:
            log.info("reader_cut_off", room=room, recording=reader.recording)
            reader.abort()

    async def ask_again(self) -> None:
        """As `relay.rights.Rights.ask_again`."""
        while True:
            await asyncio.sleep(rights.ASK_AGAIN_SECONDS)
            await self._ask(self.all, lambda reader, code: reader.abort() if code == "not_found" else None)

    async def _ask(self, readers: Collection[Reader], answered: Callable[[Reader, str], None]) -> None:
        """`answered` is called with each, and the code of a Refused, empty where they may read on."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(reader: Reader) -> None:
            async with turns:
                try:
                    await self._access.may_replay(reader.room, reader.recording, reader.bearer)
                except Refused as refused:
                    answered(reader, refused.code)
                else:
                    answered(reader, "")

        async with asyncio.TaskGroup() as tasks:
            for reader in tuple(readers):
                tasks.create_task(ask(reader))
