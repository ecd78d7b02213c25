"""One connection's state machine, without I/O: what may be said when, how fast, and in which order it takes effect."""

from collections import deque
from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from realtime.gateway.codecs import BadCommand, Codec
from rooms import commands as c
from rooms.errors import Rejected
from rooms.ids import Millis

BACKLOG = 64
"""Commands kept while the token is being checked; a client that sends more has not waited for `welcome`."""
LANE = 256
"""Commands of one room that may wait for an earlier one of the same connection."""


class Limits(Struct, frozen=True):
    """Of one connection; 0 means none."""

    commands_per_second: int = 20
    commands_burst: int = 40
    joins_per_second: int = 20
    joins_burst: int = 256
    rate_limited_per_minute: int = 120
    bad_requests_per_minute: int = 60


class Ended(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Phase(Enum):
    NEW = "the client has not said who it is"
    CHECKING = "its token is being checked"
    READY = "welcomed"


class Bucket:
    """A token bucket: `rate` a second, `burst` at once. A rate of 0 lets everything through."""

    __slots__ = ("_at", "_left")

    def __init__(self, burst: int):
        # In thousandths, of which `rate` come each millisecond: whoever waits as told finds a whole one.
        self._left = burst * 1_000
        self._at: Millis = 0

    def wait_ms(self, rate: int, burst: int, now: Millis) -> int:
        """Takes one and returns 0, or takes nothing and returns the milliseconds until there is one."""
        if not rate:
            return 0
        # A clock that was set back gives nothing, but holds nobody up until it has caught up with itself either.
        self._left = min(burst * 1_000, self._left + max(0, now - self._at) * rate)
        self._at = now
        if self._left >= 1_000:
            self._left -= 1_000
            return 0
        return -((self._left - 1_000) // rate)


class Failures:
    """Counts within a minute."""

    __slots__ = ("_count", "_since")

    def __init__(self) -> None:
        self._since: Millis = 0
        self._count = 0

    def too_many(self, most: int, now: Millis) -> bool:
        if not 0 <= now - self._since <= 60_000:
            self._since, self._count = now, 0
        self._count += 1
        return bool(most) and self._count > most


class Lane:
    """One room's commands of one connection: `running` ones are on their way, in order; `waiting` ones come after."""

    __slots__ = ("alone", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.alone = False
        self.waiting: deque[c.AnyCommand] | None = None


class Session:
    """Takes messages in, says what to run. Time comes in as an argument, in milliseconds since the Unix epoch."""

    __slots__ = ("_bad", "_commands", "_joins", "_lanes", "_limited", "backlog", "codec", "limits", "phase")

    def __init__(self, codec: Codec, limits: Limits):
        self.codec = codec
        self.limits = limits
        self.phase = Phase.NEW
        # What an idle connection does without is made when it is needed.
        self.backlog: tuple[c.AnyCommand, ...] = ()
        self._commands: Bucket | None = None
        self._joins: Bucket | None = None
        self._limited: Failures | None = None
        self._bad: Failures | None = None
        self._lanes: dict[str, Lane] | None = None

    def receive(self, data: bytes, text: bool, now: Millis) -> c.AnyCommand | None:
        """The command to act on, or None where it waits in the backlog.

        Raises BadCommand for what is to be answered with an error, Ended where the connection is.
        """
        try:
            return self._receive(data, text, now)
        except BadCommand as bad:
            if bad.rejected.code in ("bad_request", "unknown_command", "unauthorized"):
                if self._bad is None:
                    self._bad = Failures()
                if self._bad.too_many(self.limits.bad_requests_per_minute, now):
                    raise Ended(3501, "too many bad requests") from None
            raise

    def _receive(self, data: bytes, text: bool, now: Millis) -> c.AnyCommand | None:
        if text is not self.codec.text:
            kind = "text" if self.codec.text else "binary"
            raise BadCommand(Rejected("bad_request", f"{self.codec.name} comes in {kind} messages."), None)
        command = self.codec.decode(data)
        if command.id is None and not command.id_optional:
            raise BadCommand(Rejected("bad_request", "A command has an id.", field="id"), None)
        hello = isinstance(command, c.Hello)
        if self.phase is Phase.READY and not hello:
            return self.pace(command, now)
        match self.phase:
            case Phase.NEW if hello:
                self.phase = Phase.CHECKING
            case Phase.NEW:
                return self._deny(command, Rejected("unauthorized", "Say hello first."))
            case _ if hello:
                raise BadCommand(Rejected("bad_request", "You have said hello already."), command.id)
            case Phase.CHECKING:
                if len(self.backlog) >= BACKLOG:
                    raise Ended(3013, "too many requests")
                self.backlog += (command,)
                return None
        return command

    @staticmethod
    def _deny(command: c.AnyCommand, rejected: Rejected) -> None:
        """Raises BadCommand, unless the client has asked for no reply."""
        if command.id is not None or not command.id_optional:
            raise BadCommand(rejected, command.id)

    def pace(self, command: c.AnyCommand, now: Millis) -> c.AnyCommand | None:
        """The command, if it comes no faster than allowed; None for one that asked for no reply.

        Raises BadCommand(`rate_limited`); Ended for a client that does not heed it.
        """
        limits = self.limits
        if isinstance(command, c.RoomJoin):
            self._joins = self._joins or Bucket(limits.joins_burst)
            wait = self._joins.wait_ms(limits.joins_per_second, limits.joins_burst, now)
        elif limits.commands_per_second:
            self._commands = self._commands or Bucket(limits.commands_burst)
            wait = self._commands.wait_ms(limits.commands_per_second, limits.commands_burst, now)
        else:
            return command
        if wait:
            if self._limited is None:
                self._limited = Failures()
            if self._limited.too_many(limits.rate_limited_per_minute, now):
                raise Ended(3013, "too many requests")
            return self._deny(command, Rejected("rate_limited", "Too many commands.", retry_after_ms=wait))
        return command

    def welcome(self) -> tuple[c.AnyCommand, ...]:
        """The client is known. Returns what it has said meanwhile."""
        self.phase = Phase.READY
        backlog, self.backlog = self.backlog, ()
        return backlog

    # Order

    def may_start(self, command: c.AnyCommand, alone: bool) -> bool:
        """Whether the command may start now; otherwise it is kept, and `following` gives it back in its turn.

        Commands of one room start in order. One that is to run `alone` waits for all before it and holds up all after
        it; the others follow each other at once. Raises BadCommand where too many wait.
        """
        lanes, name = self._lanes, lane_of(command)
        if lanes is None:
            lanes = self._lanes = {}
        lane = lanes.get(name)
        if lane is None:
            lane = lanes[name] = Lane()
        elif lane.waiting or lane.alone or alone:
            lane.waiting = deque() if lane.waiting is None else lane.waiting
            if len(lane.waiting) >= LANE:
                rejected = Rejected("unavailable", "Too many commands wait for an earlier one.", retry_after_ms=1_000)
                raise BadCommand(rejected, command.id)
            lane.waiting.append(command)
            return False
        lane.running += 1
        lane.alone = alone
        return True

    def done(self, command: c.AnyCommand) -> bool:
        """The command has had its effect. Whether others wait: ask for those `following` it."""
        lanes, name = self._lanes, lane_of(command)
        assert lanes is not None  # noqa: S101 - `may_start` has put the command's lane there
        lane = lanes[name]
        lane.running -= 1
        if lane.waiting:
            lane.alone = lane.alone and lane.running > 0
            return True
        if lane.running:
            return False
        del lanes[name]
        if not lanes:
            self._lanes = None
        return False

    def following(self, command: c.AnyCommand, alone: Callable[[c.AnyCommand], bool]) -> c.AnyCommand | None:
        """The next of the command's room that has waited and starts now. `alone` says, as of now, whether it is to."""
        lane = self._lanes.get(lane_of(command)) if self._lanes else None
        if lane is None or lane.alone or not lane.waiting:
            return None
        alone_now = alone(lane.waiting[0])
        if alone_now and lane.running:
            return None
        lane.running += 1
        lane.alone = alone_now
        return lane.waiting.popleft()


def lane_of(command: c.AnyCommand) -> str:
    """What orders a command: its room, or none for commands of no room, which are all in one lane."""
    return getattr(command, "room", None) or ""
