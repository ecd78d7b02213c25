"""`fanout`: all listen to their rooms, some send; how soon messages are acknowledged, and delivered to everybody."""

from loadtest.figures import rates
from loadtest.stage import Stage


async def fanout(stage: Stage) -> None:
    """What comes first, as a warm-up, is not in the figures."""
    options = stage.options
    await stage.gather_crowd()
    if options.warm_up:
        await stage.send(stage.schedule(options.warm_up), timed=False)
        await stage.settle()
    schedule = stage.schedule(options.duration)
    await stage.send(schedule, timed=True)
    await stage.settle()
    await stage.recorded()
    stage.figures |= rates(stage, schedule)
