"""`slow`: some readers stop reading. The others' deliveries, with them and without, in turn within one run."""

from loadtest import histograms
from loadtest import orders as o
from loadtest.figures import PERCENTS, packed
from loadtest.stage import Stage


async def slow(stage: Stage) -> None:
    options = stage.options
    await stage.gather_crowd()
    if options.warm_up:
        await stage.send(stage.schedule(options.warm_up), timed=False)
        await stage.settle()
    without: list[str] = []
    with_them: list[str] = []
    stopped = 0
    for _ in range(options.rounds):
        without += await _window(stage)
        stopped = sum(await stage.crew.order(o.StopReading(), int))
        with_them += await _window(stage)
        await stage.crew.order(o.ReadAgain())
    stage.figures["stopped_readers"] = stopped
    for name, parts in (("without", without), ("with", with_them)):
        found = histograms.milliseconds(histograms.total(parts), list(PERCENTS.values()))
        stage.figures |= {
            f"delivery_{name}_{percent}_ms": value for percent, value in zip(PERCENTS, found, strict=True)
        }
    stage.figures["p99_ratio"] = stage.figures["delivery_with_p99_ms"] / stage.figures["delivery_without_p99_ms"]
    stage.figures["too_slow_closed"] = sum(second.server.get("slow_listeners", 0) for second in stage.seconds)


async def _window(stage: Stage) -> list[str]:
    """Sends for its share of the time, from a new second on. Returns the deliveries' histograms."""
    await stage.recorded()
    schedule = stage.schedule(stage.options.duration / stage.options.rounds / 2)
    await stage.send(schedule, timed=True)
    await stage.settle()
    await stage.recorded()
    return packed(stage, "delivery", stage.second_of(schedule.start), None)
