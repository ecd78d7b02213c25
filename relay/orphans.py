"""What a media process that ended too soon did not finish: found by the next one, and made recordings."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from relay import files
from relay.disk import Disk
from relay.ports import Recorded
from relay.threads import DaemonExecutor

log = structlog.get_logger("relay.orphans")

TOGETHER = 256
"""Manifests read by a thread before it can be stopped."""


def folders_of(disk: Disk) -> asyncio.Future[list[Path]]:
    """Those that are there before this process has any of its own: what is asked of the disk later comes behind. It is
    not done before the disk answers.
    """
    loop = asyncio.get_running_loop()
    listed: asyncio.Future[list[Path]] = loop.create_future()

    def settle(folders: list[Path]) -> None:
        if not listed.done():
            listed.set_result(folders)

    def look() -> None:
        loop.call_soon_threadsafe(settle, sorted(disk.media.iterdir()))

    disk.do(look)
    return listed


async def finish_orphans(
    disk: Disk, listed: Awaitable[Sequence[Path]], process: int, recorded: Callable[[Recorded], None]
) -> None:
    """`listed`: `folders_of` the disk, however many. They are looked through beside the disk's thread, which new
    streams need; that only finishes what is found. `recorded` is called in the event loop. A folder that cannot be read
    is logged, and left.
    """
    loop, thread = asyncio.get_running_loop(), DaemonExecutor(1, "orphans")
    folders = await listed
    for at in range(0, len(folders), TOGETHER):
        for folder in await loop.run_in_executor(thread, _unfinished, folders[at : at + TOGETHER], process):
            disk.do(partial(_finish, folder, loop, recorded))


def _unfinished(folders: Sequence[Path], process: int) -> list[Path]:
    found = []
    for folder in folders:
        try:
            manifest = files.read_manifest(folder)
        except OSError as error:
            log.error("folder_unreadable", folder=folder.name, reason=error.strerror)  # noqa: TRY400 - the reason says it all
            continue
        if manifest is not None and manifest.process == process and manifest.state == "live":
            found.append(folder)
    return found


def _finish(folder: Path, loop: asyncio.AbstractEventLoop, recorded: Callable[[Recorded], None]) -> None:
    """In the disk's thread. Raises OSError."""
    found = files.finish(folder)
    if found is None:
        return
    if found.manifest.record and found.segments:
        loop.call_soon_threadsafe(recorded, found.recorded(folder.name))
    else:
        files.delete(folder)
