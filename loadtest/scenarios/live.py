"""`live`: one giant live room; comments come in bursts, most of them from a few."""

from loadtest.figures import rates
from loadtest.stage import Stage


async def live(stage: Stage) -> None:
    """Above the server's rate, listeners see a sample: the rest is skipped, announced, and counted here."""
    options = stage.options
    await stage.gather_crowd()
    schedule = stage.schedule(options.duration, burst=options.burst)
    await stage.send(schedule, timed=True, zipf=True)
    await stage.settle()
    await stage.recorded()
    stage.figures |= rates(stage, schedule)
    first = stage.second_of(schedule.start)
    delivered = sum(second.delivered for second in stage.seconds if second.at >= first)
    skipped = sum(second.skipped for second in stage.seconds if second.at >= first)
    stage.figures["shown_share"] = delivered / (delivered + skipped) if delivered else 0.0
