"""Recordings' files, taken away in a thread of their own: a disk that is stuck keeps nothing else waiting."""

import asyncio
from functools import partial
from pathlib import Path

from relay import files
from relay.ports import Refused
from relay.threads import DaemonExecutor

SECONDS = 5.0


class Deletions:
    def __init__(self) -> None:
        self._thread = DaemonExecutor(1, "deletions")
        self._stuck: asyncio.Future[None] | None = None

    async def delete(self, folder: Path) -> None:
        """Nothing where it is gone already. Raises Refused where the disk does not answer in time, and at once while it
        still does not: then it may yet be deleted; and OSError.
        """
        if self._stuck is not None and not self._stuck.done():
            raise Refused("unavailable", "The disk does not answer.")
        work = asyncio.get_running_loop().run_in_executor(self._thread, partial(files.delete, folder))
        done, _ = await asyncio.wait([work], timeout=SECONDS)
        if not done:
            self._stuck = work
            raise Refused("unavailable", "The disk does not answer.")
        await work
