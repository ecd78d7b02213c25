"""Traces: what the server tells of a command, from its coming in to the last who hears of it, on whichever node.

They are off by default: then there is no Tracer, nobody has a Trace, and where a step would be noted nothing is done.
`realtime/tracing_otlp.py` is what makes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from rooms import commands as c
from rooms.events import Logged

Step = Literal["inbox", "decide", "commit", "reply", "publish", "apply", "deliver"]
"""What becomes of a command, in this order: it waits in its room's inbox; it is decided and judged, which includes
looking up what that needs; its round is written; it is answered; its events are handed to the broker; another node's
room takes them in; they are written to the listeners of a node.
"""


class Trace(Protocol):
    """One command that is traced, on one node: one step after the other. Nothing here waits or fails."""

    @property
    def context(self) -> str:
        """The step under way as a W3C `traceparent`."""

    def step(self, name: Step, **figures: int) -> None:
        """Begins a step, and ends the one before."""

    def end(self, **figures: int) -> None:
        """Ends the step under way, if there is one."""

    def answered(self, code: str) -> None:
        """The command has its answer: `ok`, or an error's code. Its events may be yet to be published."""


class Tracer(Protocol):
    """Says what is traced. Nothing here waits or fails."""

    @property
    def dropped(self) -> int:
        """How many spans were made and did not get to where they are collected."""

    def begin(self, command: c.AnyCommand, codec: str, headers: Mapping[str, str] | None = None) -> Trace | None:
        """A trace of the command, if it is one that a room decides and is chosen: by its HTTP request's `headers` where
        these have a `traceparent`, else by chance.
        """

    def heard(self, room: str, pos: int | None, contexts: Iterable[str]) -> None:
        """Another node has told of the room's events, in these steps. The room here is about to take them in, up to
        `pos`; None where none is loaded, or it has them already.
        """

    def applied(self, events: Sequence[Logged]) -> Sequence[Trace]:
        """The room has taken in other nodes' events: the traces that belong to them."""
