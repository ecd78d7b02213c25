"""The WebSocket connection: an asyncio protocol that uvicorn takes as `ws=`, and the seam to what runs on it.

One connection costs this object (15 slots), its parser and its transport: no task, timer, dict or header outlives
the handshake. Measured: 2.1 KB of the process's memory a connection, uvloop's part included (5,000 of them, no
receiver). Connection and receiver refer to each other only until `closed`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import structlog

from realtime.gateway.error_log import describe
from realtime.gateway.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameParser,
    Violation,
    close_frame,
    encode,
    read_close,
)
from realtime.gateway.handshake import Handshake, Refused, Rules, negotiate
from realtime.gateway.http_edge import Peer
from realtime.gateway.outgoing import Cork, Outgoing
from realtime.gateway.wheel import Wheel

log = structlog.get_logger("realtime.gateway.websocket")

NO_CLOSE_FRAME, INTERNAL_ERROR, SHUTTING_DOWN, NO_PONG = 1006, 1011, 3001, 3012

# The life of a connection, in order. CLOSING: our close frame is sent, the peer's is awaited.
# ENDING: nothing that comes matters any more, the transport goes as soon as what was written has left.
OPENING, OPEN, CLOSING, ENDING = range(4)

_PING = encode(b"", PING)
_GOLDEN_RATIO = 0.6180339887498949


class Receiver(Protocol):
    """One connection's application side. Called on the event loop, never re-entered but where it says so."""

    def message(self, data: bytes, text: bool) -> None:
        """One whole data message; that of a text message is valid UTF-8. Never called after the connection closes."""

    def waits(self) -> None:
        """Something waits for the socket: until `writable` it may not be written to. May be called within
        any write.
        """

    def choked(self) -> None:
        """So much waits that it is above the high-water mark. May be called within any write."""

    def writable(self) -> None:
        """All that waited has gone (with TLS: all but a quarter of the high-water mark)."""

    def ending(self) -> None:
        """From now on nothing may be written to the socket. Called once, if the connection was ever open; may be
        called within `close`.
        """

    def closed(self, code: int, reason: str) -> None:
        """The connection is gone; the last call, and made exactly once.

        The code of whoever closed first: the peer's (1005: it gave none), ours, or 1006 where the connection was
        lost without a close frame.
        """


class Acceptor(Rules, Protocol):
    def accept(self, handshake: Handshake, connection: "Connection") -> Receiver:
        """The receiver of a new connection. May write to it, or close it, which completes the upgrade.

        Raises Refused, before writing, for no upgrade.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    max_message: int = 65536
    """Bytes of one message, over all its fragments; 1009 above."""
    ping_seconds: float = 25
    pong_seconds: float = 10
    """After a ping; 3012 where no pong came."""
    close_seconds: float = 5
    """For the peer's close frame, and for unsent data to leave; then the connection is cut."""
    high_water: int = 65536
    """Bytes unsent above which `write` returns False, until all have gone; with TLS until a quarter of it is left."""
    notsent_lowat: int = 131072
    """Unsent bytes that the kernel takes from us (TCP_NOTSENT_LOWAT), so that `unsent` is honest; 0: megabytes.

    At 16 KiB writes of 100 KB to 300 readers ran at half speed; at 128 KiB they lose less than runs differ.
    """


@dataclass(slots=True)
class Counters:
    """Of all connections of one class, since its creation."""

    opened: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    pongs_skipped: int = 0
    """Pings left unanswered for a later one, while the peer did not read."""


class Connection(Outgoing):
    """One client's WebSocket, from uvicorn's upgrade to the end."""

    __slots__ = (
        "_answer",
        "_awaiting_pong",
        "_code",
        "_connections",
        "_parser",
        "_peer",
        "_reason",
        "_receiver",
        "_release",
        "_state",
        "due",
    )

    acceptor: ClassVar[Acceptor]
    limits: ClassVar[Limits]
    wheel: ClassVar[Wheel]
    counters: ClassVar[Counters]

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        """Arguments as uvicorn gives them; of use are `server_state.connections` and `app_state["peer"]` (`Peer`)."""
        super().__init__()
        # Who is at the other end, until the upgrade; what it counts among, until the end.
        self._peer: Peer | None = app_state.get("peer")
        self._release = self._peer.release if self._peer is not None else None
        self._connections: set[Any] = server_state.connections
        self._parser = FrameParser(self.limits.max_message)
        self._receiver: Receiver | None = None
        self._state = OPENING
        # Bytes that are owed to the peer: the 101 response while OPENING, later the pong that had to wait.
        self._answer = b""
        self._awaiting_pong = False
        self._code = NO_CLOSE_FRAME
        self._reason = ""
        self.due = 0

    # What the application uses

    @property
    def closing(self) -> bool:
        """Whether writes are in vain: closed, closing or lost."""
        return self._state > OPEN

    @property
    def clear(self) -> bool:
        """Whether the next bytes may be written to `fd`: it is open, and nothing waits that has to go before them."""
        return self._clear and self._state == OPEN

    def write(self, frames: bytes | memoryview) -> bool:
        """Write whole frames, or the rest of one whose beginning was written to `fd`, uncopied: the same object may go
        to thousands of connections. Dropped when `closing`.

        Returns False while the connection is `choked`; `Receiver.writable` tells when that ends.
        """
        if self._state != OPEN and not self._complete_upgrade():
            return False
        self.send(frames)
        return not self.choked

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; no message is received any more. Does nothing when `closing`."""
        if self._state == OPEN or self._complete_upgrade():
            self._send_close(CLOSING, code, reason, close_frame(code, reason))
            # The peer's close frame must be seen.
            self.transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection, what is unsent included; `closed` follows with 1006 where nobody had closed before."""
        self._go_on(ENDING)
        self.transport.abort()

    def pause_reading(self) -> None:
        """Take no more segments from the peer; messages of the present one still come. Its heartbeat waits too."""
        if self._state <= OPEN:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    # What uvicorn and the transport call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._go_on(ENDING)
        finally:
            self.stop_writing()
            self.wheel.cancel(self)
            self._connections.discard(self)
            if self._release is not None:
                self._release()
            receiver, self._receiver = self._receiver, None
            if receiver is not None:
                receiver.closed(self._code, self._reason)

    def data_received(self, data: bytes) -> None:
        if self._state == OPENING:
            self._open(data)
            return
        if self._state == ENDING:
            return
        self.counters.bytes_in += len(data)
        try:
            for opcode, payload in self._parser.feed(data):
                if opcode > BINARY:
                    self._control(opcode, payload)
                elif self._state == OPEN and self._receiver is not None:
                    self.counters.messages_in += 1
                    self._receiver.message(payload, opcode == TEXT)
        except Violation as violation:
            self._fail(violation.code, violation.reason)
        except Exception as error:
            log.error("receiver_failed", **describe(error))  # noqa: TRY400 - tracebacks may quote messages
            self._fail(INTERNAL_ERROR, "internal error")

    def eof_received(self) -> None:
        """The peer has left without a close frame; returning None closes the transport once it is flushed."""
        if self._state != ENDING:
            self._go_on(ENDING)
            self.wheel.after(self, self.limits.close_seconds)

    def waits(self) -> None:
        if self._state == OPEN and self._receiver is not None:
            self._receiver.waits()

    def chokes(self) -> None:
        if self._state == OPEN and self._receiver is not None:
            self._receiver.choked()

    def drained(self) -> None:
        if self._state != OPEN:
            return
        if self._answer:
            pong, self._answer = self._answer, b""
            self.send(pong)
        if self._receiver is not None:
            self._receiver.writable()

    def shutdown(self) -> None:
        """uvicorn stops."""
        self.close(SHUTTING_DOWN, "shutting down")

    def expired(self) -> None:
        """The wheel's call: time for a ping, too late for a pong, or too late for an orderly end."""
        if self._state != OPEN:
            self.transport.abort()
        elif not self._awaiting_pong:
            self._awaiting_pong = True
            self.send(_PING)
            self.wheel.after(self, self.limits.pong_seconds)
        elif self.transport.is_reading():
            self.close(NO_PONG, "no pong")
        else:
            self.wheel.after(self, self.limits.pong_seconds)

    # Opening

    def _open(self, data: bytes) -> None:
        """uvicorn replays the request's whole head in one call; what came behind it is the first frames."""
        head, blank_line, rest = data.partition(b"\r\n\r\n")
        try:
            handshake, self._answer = negotiate(head + blank_line, self.acceptor, self._peer_address())
            self._receiver = self.acceptor.accept(handshake, self)
        except Refused as refusal:
            self._refuse(refusal)
            return
        except Exception as error:
            log.error("accept_failed", **describe(error))  # noqa: TRY400 - tracebacks may quote tokens
            self._refuse(Refused(500, "Internal error.\n"))
            return
        self._complete_upgrade()
        self._peer = None
        if rest:
            self.data_received(rest)

    def _peer_address(self) -> str | None:
        if self._peer is not None:
            return self._peer.address
        peername = self.transport.get_extra_info("peername")
        return str(peername[0]) if isinstance(peername, tuple) else None

    def _complete_upgrade(self) -> bool:
        """Send the 101 that comes before all else, where that is still to be done. Whether the connection is open."""
        if self._state != OPENING:
            return self._state == OPEN
        self._state = OPEN
        self.start_writing()
        self.send(self._answer)
        self._answer = b""
        # Spread first pings over half an interval, or all who reconnect at once are pinged at once for ever.
        phase = 1 - self.counters.opened * _GOLDEN_RATIO % 1 / 2
        self.counters.opened += 1
        self.wheel.after(self, self.limits.ping_seconds * phase)
        return True

    def _refuse(self, refusal: Refused) -> None:
        if self._state != OPENING:
            self._fail(INTERNAL_ERROR, "internal error")
            return
        self.send(refusal.response())
        self._end()

    # Control frames and the end

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._peer_closed(payload)
        elif self._state != OPEN:
            return
        elif opcode == PONG:
            if self._awaiting_pong:
                self._awaiting_pong = False
                # From the ping on, not from the pong, or a slow line would be pinged less often.
                pinged = self.due * self.wheel.tick - self.limits.pong_seconds
                self.wheel.set(self, pinged + self.limits.ping_seconds)
        elif self.choked:
            # RFC 6455, section 5.5.3: only the latest ping need be answered. What is kept stays one frame.
            self.counters.pongs_skipped += bool(self._answer)
            self._answer = encode(payload, PONG)
        else:
            self.send(encode(payload, PONG))

    def _peer_closed(self, payload: bytes) -> None:
        if self._state == OPEN:
            code, reason = read_close(payload)
            self._send_close(ENDING, code, reason, encode(payload, CLOSE))
        self._end()

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7)."""
        if self._state == OPEN:
            self._send_close(ENDING, code, reason, close_frame(code, reason))
        self._end()

    def _send_close(self, state: int, code: int, reason: str, frame: bytes) -> None:
        self._go_on(state)
        self._code, self._reason = code, reason
        self._answer = b""
        self.send(frame)
        self.wheel.after(self, self.limits.close_seconds)

    def _go_on(self, state: int) -> None:
        """To a later state of the connection's life."""
        was, self._state = self._state, state
        if was == OPEN and self._receiver is not None:
            self._receiver.ending()

    def _end(self) -> None:
        """End the stream behind what is written, and wait for the peer to end its own.

        Closing at once would reset the connection if the peer had sent more, and it might never read our close frame.
        """
        if self.transport.is_closing():
            return
        self._go_on(ENDING)
        self.cork.flush()
        self.wheel.after(self, self.limits.close_seconds)
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()


def websocket_class(
    acceptor: Acceptor, wheel: Wheel, limits: Limits | None = None, cork: Cork | None = None
) -> type[Connection]:
    """The class for uvicorn's `ws=`. The caller runs the wheel (`Wheel.run`), and may put the cork on."""

    class BoundConnection(Connection):
        __slots__ = ()

    BoundConnection.acceptor = acceptor
    BoundConnection.limits = limits or Limits()
    BoundConnection.high_water = BoundConnection.limits.high_water
    BoundConnection.notsent_lowat = BoundConnection.limits.notsent_lowat
    BoundConnection.cork = cork or Cork()
    BoundConnection.wheel = wheel
    BoundConnection.counters = Counters()
    return BoundConnection
