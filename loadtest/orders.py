"""What a run's parent process and those that hold the connections say to each other, one JSON object a line."""

from msgspec import Raw, Struct

from loadtest.options import Options
from loadtest.results import Failure, Second
from loadtest.schedule import Schedule
from loadtest.stream import Account


class Task(Struct, frozen=True):
    """The first line that a process gets: all it needs to know of the run."""

    options: Options
    host: str
    port: int
    secret: str
    index: int
    """Which of `options.processes` this is."""
    started: int
    """When the run began, in nanoseconds of time.monotonic_ns."""


# Orders: each is answered by Done when it is done, or by Broken


class Connect(Struct, frozen=True, tag=True):
    """Open all connections."""


class Join(Struct, frozen=True, tag=True):
    """Join every connection to its rooms; `rooms` are the ids by number."""

    rooms: list[str]


class Send(Struct, frozen=True, tag=True):
    """Send by the schedule; what is said is numbered from `first` on."""

    schedule: Schedule
    first: int
    timed: bool
    zipf: bool = False
    """Whether some senders say far more than others, instead of each in turn."""


class Act(Struct, frozen=True, tag=True):
    """Do what people do in groups, by the schedule, until all are back who were away; numbered from `first` on."""

    schedule: Schedule
    first: int


class StopReading(Struct, frozen=True, tag=True):
    """A share of those who only listen read no more; the result is how many."""


class ReadAgain(Struct, frozen=True, tag=True):
    """They connect anew and recover, or begin anew where they have missed too much."""


class Settle(Struct, frozen=True, tag=True):
    """Wait until the server has answered all; the result is Settled."""

    patience: float
    """Seconds."""


class CatchUp(Struct, frozen=True, tag=True):
    """Wait until every connection has received its rooms up to these positions; the result is CaughtUp."""

    positions: dict[str, int]
    patience: float


class Drop(Struct, frozen=True, tag=True):
    """End all connections at once, without a word."""


class Return(Struct, frozen=True, tag=True):
    """Connect again, each at a moment of its own within `window` seconds from `start`, and recover; the result is
    Returned.
    """

    start: int
    window: float
    patience: float
    """Seconds from `start`, after which it has failed."""


class Finish(Struct, frozen=True, tag=True):
    """Report what there is and end."""


Order = Connect | Join | Send | Act | StopReading | ReadAgain | Settle | CatchUp | Drop | Return | Finish


# Results


class Acknowledged(Struct):
    """What a room's senders of one process were told since the last time; sums as in Account. `pos` is the highest that
    any connection of the process knows of.
    """

    pos: int = 0
    messages: int = 0
    text_sum: int = 0


class Settled(Struct):
    rooms: dict[str, Acknowledged]
    last: int
    """When the last reply came, in nanoseconds of time.monotonic_ns; 0: none has."""


class CaughtUp(Struct):
    rooms: dict[str, Account]


class Returned(Struct):
    last: int
    """When the last one had recovered, in nanoseconds of time.monotonic_ns."""
    retries: int
    """How often somebody had to try again."""


# Reports


class Done(Struct, tag=True):
    result: Raw = Raw(b"null")


class Broken(Struct, tag=True):
    """The run cannot go on."""

    text: str


class Tick(Struct, tag=True):
    """A second has passed."""

    second: Second


class Failed(Struct, tag=True):
    failure: Failure


Report = Done | Broken | Tick | Failed
