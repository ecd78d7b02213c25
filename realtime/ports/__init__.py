"""What the server needs of the outside world. Each docstring states ordering, atomicity and loss.

Every adapter passes the contract suite of its port (tests/contracts).
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from realtime.ports.broker import NODES, USER_TOPICS, Broker, Receiver, room_topic, user_topic
from realtime.ports.store import Store
from realtime.ports.store_values import (
    Access,
    Appended,
    Batch,
    Duplicate,
    Found,
    KeyClaim,
    KeyReused,
    Listed,
    Loaded,
    MemberRow,
    NotTried,
    Original,
    Page,
    Profile,
    Proposal,
    Reaction,
    ReadState,
    Refused,
    Result,
    RoomRow,
    Span,
    Written,
)
from realtime.ports.tallies import Tallies
from rooms.drafts import Draft, Verdict
from rooms.ids import Millis
from rooms.records import Record

__all__ = [
    "NODES",
    "USER_TOPICS",
    "Access",
    "Appended",
    "Batch",
    "Broker",
    "Clock",
    "Duplicate",
    "Found",
    "KeyClaim",
    "KeyReused",
    "Listed",
    "Loaded",
    "MemberRow",
    "NotTried",
    "Original",
    "Page",
    "Policy",
    "Profile",
    "Proposal",
    "Reaction",
    "ReadState",
    "Receiver",
    "RecordSink",
    "Refused",
    "Result",
    "RoomRow",
    "Span",
    "Store",
    "Tallies",
    "Unavailable",
    "Written",
    "room_topic",
    "user_topic",
]


class Unavailable(Exception):
    """The store (or another part that a command needs) cannot serve now. Nothing of the command has happened.

    `retry_after_ms` is when to try again.
    """

    def __init__(self, what: str, retry_after_ms: int = 1_000):
        super().__init__(what)
        self.retry_after_ms = retry_after_ms


# Interaction records


class RecordSink(Protocol):
    """Takes interaction records out of the outbox to whoever rewards them.

    *At least once*: records are offered in order until `write` has returned, and again after a crash; `Record.id`
    tells repeats. *Slow or gone*: `write` raises Unavailable; records wait in the outbox, which is durable.
    """

    async def write(self, records: Sequence[Record]) -> None:
        """Returns when the records are durable on the other side. Raises Unavailable."""

    async def close(self) -> None: ...


# Content policy


class Policy(Protocol):
    """Judges drafts. Judging what is known on the spot returns a verdict at once; what needs asking is awaited.

    *Slow or gone*: an awaited verdict is waited for at most as long as the policy says itself; then it answers with
    its own default. It never raises.
    """

    def judge(self, draft: Draft) -> Verdict | Awaitable[Verdict]: ...


class Clock(Protocol):
    """Time, passed in so that tests can turn it."""

    def __call__(self) -> Millis: ...
