"""What both ends of an RTMP connection do alike: handshake, chunks, acknowledgements, pings (specification 5.2 to 5.4).

Without I/O, in the manner of h11: `receive` takes bytes, `next_message` gives what came of them, `take_output` what is
to be sent. Messages that concern the link alone are answered here.
"""

import struct
from typing import Literal

from relay.rtmp.amf0 import Value, encode
from relay.rtmp.chunks import (
    ACKNOWLEDGEMENT,
    COMMAND,
    LEAST_CHUNK,
    PEER_BANDWIDTH,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    WINDOW_SIZE,
    ChunkReader,
    Message,
    write_message,
)
from relay.rtmp.errors import Violation

HANDSHAKE = 1_536
"""Bytes of C1, C2, S1 and S2."""
NONCE = HANDSHAKE - 8
WINDOW = 2_500_000
"""Bytes after which the peer is to acknowledge, and after which we do until it has said its own."""

_VERSION = 3
_CONTROL_STREAM, _COMMAND_STREAM = 2, 3
_STREAM_BEGIN, _PING, _PONG = 0, 6, 7


class Link:
    """`nonce` is NONCE random bytes. The handshake is the simple one: with a version of zeros in it nobody expects the
    digests of Flash.
    """

    def __init__(self, side: Literal["client", "server"], nonce: bytes):
        self._output = bytearray()
        self._reader = ChunkReader()
        self._client = side == "client"
        self._first = bytes(8) + nonce
        self._greeting = bytearray()
        self._state: Literal["hello", "echo", "open"] = "hello"
        self._chunk = LEAST_CHUNK
        self._received = self._acknowledged = 0
        self._window = WINDOW
        if self._client:
            self._output += bytes((_VERSION,)) + self._first

    @property
    def received(self) -> int:
        """Bytes since it began."""
        return self._received

    @property
    def weight(self) -> int:
        """See ChunkReader.weight."""
        return self._reader.weight

    @property
    def open(self) -> bool:
        """The handshake is through: messages may be sent."""
        return self._state == "open"

    def receive(self, data: bytes) -> None:
        """Raises Violation."""
        self._received += len(data)
        if self._state == "open":
            self._reader.receive(data)
        else:
            self._greeting += data
            self._shake_hands()
        if self._received - self._acknowledged >= self._window and self.open:
            self._acknowledged = self._received
            self._control(ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4))

    def next_message(self) -> Message | None:
        """The next one that is not the link's own; None where more bytes are needed. Raises Violation."""
        while (message := self._reader.next_message()) is not None:
            match message.kind:
                case k if k == WINDOW_SIZE:
                    self._window = max(1, min(_number(message), WINDOW))
                case k if k == PEER_BANDWIDTH:
                    self._control(WINDOW_SIZE, WINDOW.to_bytes(4))
                case k if k == USER_CONTROL:
                    if message.data[:2] == _PING.to_bytes(2):
                        self._control(USER_CONTROL, _PONG.to_bytes(2) + message.data[2:6])
                case k if k == ACKNOWLEDGEMENT:
                    pass
                case _:
                    return message
        return None

    def take_output(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def send(self, message: Message, chunk_stream: int) -> None:
        self._output += write_message(message, chunk_stream, self._chunk)

    def command(self, *values: Value, stream: int = 0) -> None:
        """Name, transaction, and arguments (7.1.1)."""
        self.send(Message(COMMAND, stream, 0, encode(*values)), _COMMAND_STREAM)

    def set_chunk_size(self, size: int) -> None:
        self._control(SET_CHUNK_SIZE, size.to_bytes(4))
        self._chunk = size

    def announce_window(self) -> None:
        """Window Acknowledgement Size and Set Peer Bandwidth (dynamic)."""
        self._control(WINDOW_SIZE, WINDOW.to_bytes(4))
        self._control(PEER_BANDWIDTH, WINDOW.to_bytes(4) + b"\2")

    def begin_stream(self, stream: int) -> None:
        self._control(USER_CONTROL, struct.pack(">HI", _STREAM_BEGIN, stream))

    def _control(self, kind: int, data: bytes) -> None:
        self.send(Message(kind, 0, 0, data), _CONTROL_STREAM)

    def _shake_hands(self) -> None:
        """C0 to C2, S0 to S2 (5.2). What the peer's echo holds is not compared: some encoders send zeros."""
        if self._state == "hello":
            if self._greeting and self._greeting[0] != _VERSION:
                raise Violation(f"handshake of version {self._greeting[0]}; {_VERSION} is RTMP")
            if len(self._greeting) <= HANDSHAKE:
                return
            echo = bytes(self._greeting[1 : 1 + HANDSHAKE])
            del self._greeting[: 1 + HANDSHAKE]
            self._output += echo if self._client else bytes((_VERSION,)) + self._first + echo
            self._state = "echo"
        if len(self._greeting) >= HANDSHAKE:
            self._state = "open"
            self._reader.receive(bytes(self._greeting[HANDSHAKE:]))
            self._greeting.clear()


def _number(message: Message) -> int:
    if len(message.data) < 4:
        raise Violation("Window Acknowledgement Size: shorter than four bytes")
    return int.from_bytes(message.data[:4])
