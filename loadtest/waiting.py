"""Waiting for moments, and for what nobody tells."""

import asyncio
import time
from collections.abc import Callable

from loadtest.schedule import SECOND

POLL = 0.02
"""Seconds between two looks."""


async def until(moment: int) -> None:
    """Of time.monotonic_ns. The loop's timers count milliseconds; what is sent late for that is in the latencies."""
    while (early := moment - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(max(early / SECOND, 0.001))


async def holds(condition: Callable[[], bool], patience: float) -> bool:
    """Whether it has come to hold within so many seconds."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(POLL)
    return True
