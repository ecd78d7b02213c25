"""`groups`: rooms of very different sizes; people type, read, react, send, lose their connection and come back."""

from loadtest.figures import percentiles, rates
from loadtest.schedule import Schedule
from loadtest.stage import Stage


async def groups(stage: Stage) -> None:
    await play(stage)


async def play(stage: Stage) -> Schedule:
    """Returns the schedule of what was done."""
    options = stage.options
    await stage.gather_crowd()
    schedule = stage.schedule(options.duration)
    await stage.act(schedule)
    await stage.settle()
    await stage.recorded()
    stage.figures |= rates(stage, schedule)
    stage.figures |= percentiles(stage, "recovery", stage.second_of(schedule.start))
    return schedule
