"""Commands between their submission and their reply."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from realtime.client.errors import CommandError, ConnectionLost, ProtocolViolation
from realtime.client.link import Link

OnReply = Callable[[dict[str, Any], Link], None]


class Command:
    """One submitted command. `link` is the connection that it was last sent on; None while it waits to be sent."""

    __slots__ = ("body", "future", "link", "on_ok", "own", "resent")

    def __init__(self, body: dict[str, Any], on_ok: OnReply | None, *, own: bool) -> None:
        self.body = body
        self.on_ok = on_ok
        self.own = own
        self.future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.link: Link | None = None
        self.resent = False


class Outbox:
    """A bounded queue of unanswered commands, sent in the order of submission.

    Overflow action: `submit` waits until one of the `limit` unanswered commands is answered. The client's own
    commands (joins and pings, at most one a room and one a connection) do not count.
    """

    def __init__(self, limit: int, on_submit: Callable[[], None]) -> None:
        self._ids = itertools.count(1)
        self._slots = asyncio.Semaphore(limit)
        self._on_submit = on_submit
        self._unanswered: dict[int, Command] = {}
        self._unsent: deque[Command] = deque()
        self._ready = asyncio.Event()
        self._failure: Exception | None = None

    @property
    def awaited(self) -> bool:
        """Whether a caller waits for a reply, which may be behind events that nobody reads meanwhile."""
        return any(not command.own for command in self._unanswered.values())

    def answering(self, link: Link) -> bool:
        """Whether a command sent on this connection still waits for its reply."""
        return any(command.link is link for command in self._unanswered.values())

    async def submit(
        self, body: dict[str, Any], *, on_ok: OnReply | None = None, own: bool = False, first: bool = False
    ) -> dict[str, Any]:
        """The `ok` reply to `body`, which gets its `id` here. `first` sends it ahead of what waits.

        `on_ok` runs before anything that follows the reply on its connection is read.
        Raises CommandError, ConnectionLost (only without `key`), or what ended the client.
        """
        if not own:
            await self._slots.acquire()
        if self._failure is not None:
            raise self._failure
        command = Command({**body, "id": next(self._ids)}, on_ok, own=own)
        self._unanswered[command.body["id"]] = command
        if first:
            self._unsent.appendleft(command)
        else:
            self._unsent.append(command)
        self._ready.set()
        if not own:
            self._on_submit()
        try:
            return await command.future
        finally:
            # A cancelled command that was sent stays listed, so that its reply is known when it comes.
            if command.future.cancelled() and command.link is None:
                self._unsent.remove(command)
                self._settle(command)

    async def next(self, link: Link) -> Command:
        """The next command to send on `link`, now counted as sent."""
        while not self._unsent:
            self._ready.clear()
            await self._ready.wait()
        command = self._unsent.popleft()
        command.link = link
        return command

    def answer(self, reply: dict[str, Any], link: Link) -> None:
        """Settle the command that `reply` answers. Raises ProtocolViolation where there is none."""
        command = self._unanswered.get(reply["id"]) if isinstance(reply.get("id"), int) else None
        if command is None or command.link is not link:
            raise ProtocolViolation(f"a reply to no command: {reply}")
        self._settle(command)
        if reply["type"] == "ok" and command.on_ok is not None:
            command.on_ok(reply, link)
        if command.future.done():
            return
        if reply["type"] == "ok":
            command.future.set_result(reply)
        else:
            command.future.set_exception(_error(reply))

    def lost(self, link: Link) -> None:
        """The connection is gone: what has a key is sent again on the next one, before all else; the rest fails."""
        again = []
        for command in [command for command in self._unanswered.values() if command.link is link]:
            if command.body.get("key") is not None and not command.future.done():
                command.link, command.resent = None, True
                again.append(command)
            else:
                self._settle(command)
                if not command.future.done():
                    command.future.set_exception(
                        ConnectionLost(f"{command.body['type']}: connection lost, outcome unknown")
                    )
        self._unsent.extendleft(reversed(again))
        self._ready.set()

    def fail(self, error: Exception) -> None:
        """End all commands, present and future, with `error`."""
        self._failure = error
        for command in list(self._unanswered.values()):
            self._settle(command)
            if not command.future.done():
                command.future.set_exception(error)
        self._unsent.clear()

    def _settle(self, command: Command) -> None:
        del self._unanswered[command.body["id"]]
        if not command.own:
            self._slots.release()


def _error(reply: dict[str, Any]) -> CommandError:
    return CommandError(
        str(reply.get("code", "internal")),
        str(reply.get("message", "")),
        retry=reply.get("retry") is True,
        retry_after_ms=reply.get("retry_after_ms"),
        field=reply.get("field"),
    )
