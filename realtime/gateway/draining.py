"""Going away without losing anybody: the drain that SIGTERM starts."""

import asyncio
from collections.abc import Callable, Collection

from realtime.gateway.door import Door

SHUTTING_DOWN = 3001
LEAVE_MS = 1_000
"""What of the drain is left for commands under way, once clients have been told to go."""


async def drain(door: Door, end_streams: Callable[[], None], within_ms: int, drain_seconds: float) -> None:
    """Tells every client to reconnect at a random moment, waits for them to go, takes no more commands, lets those
    under way commit and answer, and closes who is left with 3001.
    """
    within_ms = int(max(0, min(within_ms, drain_seconds * 1_000 - LEAVE_MS)))
    for endpoint in list(door.endpoints):
        endpoint.tell({"type": "reconnect", "within_ms": within_ms})
    await _until_empty(door.endpoints, within_ms / 1_000)
    door.leave()
    await door.settle()
    door.service.hub.flush_all()
    end_streams()
    for endpoint in list(door.endpoints):
        endpoint.connection.close(SHUTTING_DOWN, "shutting down")


async def _until_empty(endpoints: Collection[object], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while endpoints and loop.time() < end:  # noqa: ASYNC110 - bounded by the drain, and nobody is served by waking sooner
        await asyncio.sleep(0.02)
