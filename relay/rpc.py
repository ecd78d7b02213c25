"""Calls between the processes of one machine: msgpack over a Unix stream socket, on which both sides may ask.

A frame is its length in four bytes, then one message. What a method takes and gives is said by a Protocol's
annotations. A peer that stalls costs its callers their deadline, and one that reads nothing its connection; a peer that
is gone fails the calls that wait for it at once.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast, get_type_hints

import msgspec
import structlog
from msgspec import Raw, Struct
from msgspec.msgpack import Decoder, Encoder

from relay.ports import Refused

log = structlog.get_logger("relay.rpc")

SECONDS = 5.0
"""How long a call may take where its caller does not say otherwise."""
MOST_SECONDS = 60.0
MOST_CALLS = 256
"""Under way in one direction of a connection. Those beyond are refused as `unavailable`, and counted."""
MOST_UNSENT = 4 * 1024 * 1024
"""Bytes that a peer has not taken. One that lets more wait is cut off, and counted."""
LONGEST_FRAME = 1024 * 1024
"""One who sends more is cut off: both ends are ours, so the rest of the bytes cannot be trusted either."""
MOST_PEERS = 256

T = TypeVar("T")


class Call(Struct, frozen=True, array_like=True, tag=0):
    number: int
    method: str
    arguments: Raw
    seconds: float


class Result(Struct, frozen=True, array_like=True, tag=1):
    number: int
    value: Raw


class Failure(Struct, frozen=True, array_like=True, tag=2):
    number: int
    code: str
    message: str
    retry_after_ms: int | None


class Method(Struct, frozen=True):
    arguments: Decoder[tuple[Any, ...]]
    run: Callable[..., Awaitable[Any]]


Methods = Mapping[str, Method]


class Counters(Struct):
    """Of all connections that share it."""

    refused: int = 0
    """Calls, ours and theirs, beyond MOST_CALLS."""
    late: int = 0
    """Calls of ours without an answer in time."""
    cut_off: int = 0
    """Connections to peers that did not read, or sent what is no frame."""


class Lost(Refused):
    """The connection broke, or there is none: whether the call was heard is not known."""

    def __init__(self, method: str):
        super().__init__("unavailable", f"{method}: the process that answers is gone")


_encoder = Encoder()
_messages = Decoder(Call | Result | Failure)


def methods_of(port: type, served: object) -> Methods:
    """All coroutine methods of the Protocol `port`, called on `served`."""
    found = {}
    for name, function in inspect.getmembers(port, inspect.iscoroutinefunction):
        hints = get_type_hints(function)
        del hints["return"]
        arguments: Decoder[tuple[Any, ...]] = Decoder(tuple[tuple(hints.values())])  # type: ignore[misc]
        found[name] = Method(arguments, getattr(served, name))
    return found


class Peer(asyncio.Protocol):
    """One connection. `joined` is called once it is made, `left` once it is lost."""

    def __init__(
        self,
        methods: Methods,
        *,
        joined: Callable[["Peer"], None] | None = None,
        left: Callable[["Peer"], None] | None = None,
        counters: Counters | None = None,
    ):
        self.lost = asyncio.Event()
        self._methods = methods
        self._joined, self._left = joined, left
        self._counters = counters or Counters()
        self._received = bytearray()
        self._calls: dict[int, asyncio.Future[Raw]] = {}
        self._last = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None

    async def call(self, result: Decoder[T], method: str, *arguments: object, seconds: float = SECONDS) -> T:
        """What the other side's method gives. Raises Refused as that does; `unavailable` where it does not answer
        within `seconds`, has too much to do, or answers what `result` cannot read; Lost where it is gone.
        """
        if self.lost.is_set() or self._transport is None:
            raise Lost(method)
        if len(self._calls) >= MOST_CALLS:
            self._counters.refused += 1
            raise Refused("unavailable", f"{method}: {MOST_CALLS} calls wait already")
        self._last = number = self._last + 1
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(Call(number, method, Raw(_encoder.encode(arguments)), seconds))
            async with asyncio.timeout(seconds):
                value = await answer
            return result.decode(value)
        except TimeoutError:
            self._counters.late += 1
            raise Refused("unavailable", f"{method}: no answer within {seconds:.2g} s") from None
        except msgspec.DecodeError as error:
            raise Refused("unavailable", f"{method}: {error}") from error
        finally:
            del self._calls[number]

    def close(self) -> None:
        """What was asked of us and is not answered yet is given up."""
        for task in self._serving:
            task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._joined is not None:
            self._joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(Lost("call"))
        if self._left is not None:
            self._left(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        at, received = 0, self._received
        while len(received) - at >= 4:
            start, size = at + 4, int.from_bytes(received[at : at + 4])
            if size > LONGEST_FRAME:
                self._cut_off("frame too long")
                return
            if start + size > len(received):
                break
            try:
                self._message(_messages.decode(received[start : start + size]))
            except msgspec.DecodeError as error:
                self._cut_off(str(error))
                return
            at = start + size
        del received[:at]

    def _message(self, message: Call | Result | Failure) -> None:
        if isinstance(message, Call):
            self._asked(message)
            return
        future = self._calls.get(message.number)
        if future is None or future.done():
            return  # it came too late
        if isinstance(message, Result):
            future.set_result(message.value)
        else:
            future.set_exception(Refused(message.code, message.message, message.retry_after_ms))

    def _asked(self, call: Call) -> None:
        if len(self._serving) >= MOST_CALLS:
            self._counters.refused += 1
            self._send(Failure(call.number, "unavailable", f"{call.method}: too many calls", None))
            return
        task = asyncio.get_running_loop().create_task(self._serve(call))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, call: Call) -> None:
        try:
            self._send(await self._answer(call))
        except Exception:
            log.exception("call_failed", method=call.method)
            self._send(Failure(call.number, "internal", f"{call.method} failed", None))

    async def _answer(self, call: Call) -> Result | Failure:
        method = self._methods.get(call.method)
        if method is None:
            return Failure(call.number, "unavailable", f"{call.method}: unknown to this process", None)
        try:
            arguments = method.arguments.decode(call.arguments)
            async with asyncio.timeout(min(call.seconds, MOST_SECONDS)):
                value = await method.run(*arguments)
        except Refused as refused:
            return Failure(call.number, refused.code, refused.message, refused.retry_after_ms)
        except TimeoutError:
            return Failure(call.number, "unavailable", f"{call.method}: it took too long", None)
        except msgspec.DecodeError as error:
            return Failure(call.number, "unavailable", f"{call.method}: {error}", None)
        return Result(call.number, Raw(_encoder.encode(value)))

    def _send(self, message: Call | Result | Failure) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        encoded = _encoder.encode(message)
        if len(encoded) > LONGEST_FRAME:
            # The other side would end the connection, and with it everything else that is asked.
            if isinstance(message, Call):
                raise Refused("bad_request", f"{message.method}: too long")
            self._send(Failure(message.number, "unavailable", "the answer is too long", None))
            return
        self._transport.write(len(encoded).to_bytes(4) + encoded)
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self._cut_off("it does not read")

    def _cut_off(self, reason: str) -> None:
        log.error("peer_cut_off", reason=reason)
        self._counters.cut_off += 1
        if self._transport is not None:
            self._transport.abort()
