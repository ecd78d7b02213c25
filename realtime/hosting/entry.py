"""A command in a room's inbox, and the answers that what happens in the store gives it."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from realtime import ports
from realtime.tracing import Trace
from rooms import commands as c
from rooms.actors import Actor
from rooms.decide import Own
from rooms.drafts import Verdict
from rooms.effects import (
    AddPending,
    ChangeRecording,
    Effect,
    KeepOwner,
    NoRepeat,
    React,
    RevokeInvite,
    SaveStream,
    SpaceMessages,
    TakePending,
    UseInvite,
)
from rooms.errors import Rejected, not_found

log = structlog.get_logger("realtime.entry")

Answer = Callable[[dict[str, Any] | Rejected], None]


class Entry:
    """A command in a room's inbox. `answer` is called exactly once: with what the `ok` reply adds, or a refusal.

    `lane` is the connection: commands of one lane take effect in the order in which they came. `kept` ones are not done
    with in their batch: they wait for a verdict, or are to be decided `again`.
    """

    __slots__ = ("actor", "again", "answer", "command", "kept", "key", "lane", "trace", "tries", "verdict")

    def __init__(
        self, actor: Actor, command: c.Decided | Own, lane: object, answer: Answer, trace: Trace | None = None
    ):
        self.actor = actor
        self.command = command
        self.lane = lane
        self.answer = answer
        self.trace = trace
        self.verdict: Verdict | None = None
        self.kept = False
        self.again = False
        self.tries = 0
        self.key: ports.KeyClaim | None = None
        if isinstance(command, c.Change) and command.key is not None:
            scope = "" if isinstance(command, c.RoomCreate | c.InviteAccept) else command.room
            self.key = ports.KeyClaim(actor.user, scope, command.key, digest(command))
        if trace is not None:
            trace.step("inbox")

    def waits(self) -> None:
        """The command is in the inbox once more, or behind a verdict that is awaited."""
        if self.trace is not None:
            self.trace.step("inbox")

    def done(self, reply: dict[str, Any] | Rejected) -> None:
        """Gives the answer, if none has been given. The command has had its effect, whatever becomes of the answer."""
        answer, self.answer = self.answer, _answered
        try:
            answer(reply)
        except Exception:
            log.exception("answer_failed", type=type(self.command).__name__)


def noting(trace: Trace, answer: Answer) -> Answer:
    """Gives the answer, and tells the trace."""

    def noted(reply: dict[str, Any] | Rejected) -> None:
        try:
            answer(reply)
        finally:
            trace.answered(reply.code if isinstance(reply, Rejected) else "ok")

    return noted


def digest(command: c.Change) -> bytes:
    """What tells one command's body from another's: everything but `id` and `key`."""
    body = msgspec.msgpack.encode(replace(command, id=None, key=None))
    return hashlib.blake2b(body, digest_size=16).digest()


def _answered(reply: dict[str, Any] | Rejected) -> None:
    """Stands in an entry that has had its answer."""


def repeat(found: ports.Duplicate | ports.KeyReused) -> dict[str, Any] | Rejected:
    """The answer to a command whose key was used before."""
    if isinstance(found, ports.Duplicate):
        return found.reply | {"duplicate": True}
    return Rejected("key_reused", "This key was used for another command.", field="key")


def unmet(effect: Effect | None) -> Rejected:
    """The refusal for a condition that no longer held when the command was to be written."""
    match effect:
        case None:
            return Rejected("exists", "There is a room of this id.", field="room")
        case UseInvite() | RevokeInvite():
            return not_found("invite")
        case TakePending():
            return not_found("pending message")
        case AddPending():
            return Rejected("too_many", "Too many messages wait in this room.", retry_after_ms=10_000)
        case React():
            return Rejected("too_many", "This message bears as many kinds of reaction as it can.", field="emoji")
        case SpaceMessages(gap_ms=gap):
            return Rejected("slow_mode", "Slow mode is on.", retry_after_ms=gap)
        case NoRepeat(within_ms=within):
            return Rejected("duplicate_text", "You have just said that.", field="text", retry_after_ms=within)
        case SaveStream():
            return Rejected("unavailable", "Somebody else was quicker with this stream.", retry_after_ms=50)
        case ChangeRecording():
            return not_found("recording")
        case KeepOwner():
            return Rejected("forbidden", "A room keeps at least one owner.", field="role")
        case _:
            return Rejected("internal", "Something went wrong here.")
