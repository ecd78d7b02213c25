"""`storm`: all connections end at once, their rooms go on, and all come back and recover what they have missed."""

import asyncio
import time

from loadtest import orders as o
from loadtest.figures import percentiles
from loadtest.schedule import SECOND
from loadtest.stage import AHEAD, Stage
from loadtest.stream import text_sum
from loadtest.texts import say, texts

RETURNED_WITHIN = 120.0
"""Seconds after which somebody who has not come back has failed."""
GONE_WITHIN = 30.0
"""Seconds that the server may take to see that they are gone."""


async def storm(stage: Stage) -> None:
    options = stage.options
    await stage.gather_crowd()
    await stage.crew.order(o.Drop())
    await _gone(stage)
    said = await _go_on(stage)
    start = time.monotonic_ns() + int(AHEAD * SECOND)
    returned = await stage.crew.order(o.Return(start, options.window, RETURNED_WITHIN), o.Returned)
    last = max(process.last for process in returned)
    await stage.settle(said)
    stage.figures["recovered_within_seconds"] = (last - start) / SECOND
    stage.figures["retries"] = sum(process.retries for process in returned)
    await stage.recorded()
    stage.figures |= percentiles(stage, "recovery", 0)


async def _gone(stage: Stage) -> None:
    """Until the server has seen that they are: else it would go on for people who are not there."""
    end = time.monotonic() + GONE_WITHIN
    while await stage.watch.connections() > 1 and time.monotonic() < end:  # noqa: ASYNC110 - the server tells when asked
        await asyncio.sleep(0.1)


async def _go_on(stage: Stage) -> dict[str, o.Acknowledged]:
    """The gap: so many messages in each room."""
    spoken = texts(stage.options.text)
    commands = [
        {"type": "message.send", "room": room, "text": say(0, n, spoken[n % len(spoken)])}
        for n in range(stage.options.gap)
        for room in stage.rooms
    ]
    said: dict[str, o.Acknowledged] = {}
    for command, reply in zip(commands, await stage.ask_all(commands), strict=True):
        found = said.setdefault(command["room"], o.Acknowledged())
        found.pos = max(found.pos, reply.pos)
        found.messages += 1
        found.text_sum += text_sum(reply.pos, command["text"])
    return said
