"""What deciding takes and gives."""

from typing import Any

from msgspec import Struct

from rooms import events as e
from rooms.decide.needs import Facts
from rooms.drafts import Draft, Verdict
from rooms.effects import Effect
from rooms.ids import Millis


class Limits(Struct, frozen=True):
    """The server's bounds that decisions read. Milliseconds and counts; 0 means none where the config says so."""

    edit_ms: Millis = 0
    presence_names: int = 200
    pins: int = 50
    reaction_kinds: int = 20
    pending: int = 1_000
    grace_ms: Millis = 30_000
    kyc: bool = False


class Moment(Struct, frozen=True, gc=False):
    """The circumstances of one decision: the time, a fresh random id, what was looked up, what the policy said."""

    now: Millis
    fresh: str = ""
    facts: Facts = Facts()
    verdict: Verdict | None = None
    limits: Limits = Limits()


class Decision(Struct, frozen=True, gc=False):
    """What a command changes, all or nothing, and what its `ok` reply adds.

    `events` carry the positions that follow the room's; whoever writes them gives the final ones, and the reply its
    `pos` (the first event's; where there is none, the room's) and, where `timed`, its `at`.
    """

    events: tuple[e.Logged, ...] = ()
    effects: tuple[Effect, ...] = ()
    reply: dict[str, Any] = {}
    pos: bool = True
    timed: bool = False


Outcome = Decision | Draft
"""A draft is to be judged first: decide again with the verdict."""
