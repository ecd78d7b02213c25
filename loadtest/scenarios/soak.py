"""`soak`: what `groups` does, for hours; after a while the server's memory may not grow any more."""

from statistics import median

from loadtest.results import Failure
from loadtest.scenarios.groups import play
from loadtest.stage import Stage

SHARE = 0.25
"""Of the time after the baseline: that long memory is looked at, for what it is then and what it is in the end."""
LONGEST = 120
"""Seconds of that, at most."""


async def soak(stage: Stage) -> None:
    options = stage.options
    schedule = await play(stage)
    first = stage.second_of(schedule.start) + int(options.baseline)
    memory = [
        second.server["rss_bytes"]
        for second in stage.seconds
        if first <= second.at <= stage.second_of(schedule.end) and "rss_bytes" in second.server
    ]
    window = min(int(len(memory) * SHARE) + 1, LONGEST)
    if not memory:
        stage.recorder.fail(Failure(kind="memory", text="the server's memory was not seen after the baseline"))
        return
    then, now = median(memory[:window]), median(memory[-window:])
    stage.figures["rss_at_baseline_bytes"] = then
    stage.figures["rss_at_end_bytes"] = now
    stage.figures["rss_growth_share"] = now / then - 1
    if now > then * (1 + options.growth):
        text = f"the server's memory grew by {now / then - 1:.1%} after the first {options.baseline:g} s"
        stage.recorder.fail(Failure(kind="memory", text=text))
