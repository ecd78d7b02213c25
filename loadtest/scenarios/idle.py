"""`idle`: what connections cost that are joined and say nothing: memory of each, processor time of all."""

import asyncio
from statistics import fmean

from loadtest.stage import Stage

LULL = 3.0
"""Seconds after the last join, in which presence is told and the server comes to rest."""


async def idle(stage: Stage) -> None:
    """The server's metrics are not read meanwhile: that would be most of what it does."""
    options = stage.options
    stage.scrape = False
    before = await stage.watch.rss()
    await stage.gather_crowd()
    await asyncio.sleep(LULL)
    first = stage.now + 1
    await asyncio.sleep(options.duration)
    after = await stage.watch.rss()
    await stage.settle()
    await stage.recorded()
    cpu = [second.server["cpu"] for second in stage.seconds if second.at >= first and "cpu" in second.server]
    if before and after:
        stage.figures["rss_at_0_bytes"] = before
        stage.figures["rss_at_all_bytes"] = after
        stage.figures["bytes_per_connection"] = (after - before) / options.connections
    if cpu:
        stage.figures["server_cpu_share"] = fmean(cpu)
