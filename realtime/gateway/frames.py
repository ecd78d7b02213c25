"""WebSocket frames (RFC 6455, section 5): a client's bytes to whole messages, messages to a server's bytes. No I/O."""

import codecs
from collections.abc import Iterator
from struct import Struct

from websockets.exceptions import ProtocolError
from websockets.frames import Close

try:
    from websockets.speedups import apply_mask
except ImportError:  # no C extension on this platform
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80
MAX_CONTROL_PAYLOAD = 125

PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1002, 1007, 1009

_LENGTH_16 = 126
"""Stands in the place of a length that follows in 16 bits."""
_FINAL_TEXT = FINAL | TEXT
_SHORT_HEADS = {
    opcode: [bytes((FINAL | opcode, length)) for length in range(126)] for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
}
_MEDIUM_HEAD = Struct("!BBH").pack
_LONG_HEAD = Struct("!BBQ").pack
_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class Violation(Exception):
    """The peer broke RFC 6455 or a bound; `code` is the close code that says so (1002, 1007 or 1009)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def encode(payload: bytes, opcode: int) -> bytes:
    """One final, unmasked frame: header and payload in one buffer, to be written to any number of connections."""
    length = len(payload)
    if length < 126:
        return _SHORT_HEADS[opcode][length] + payload
    if length < 65536:
        return _MEDIUM_HEAD(FINAL | opcode, 126, length) + payload
    return _LONG_HEAD(FINAL | opcode, 127, length) + payload


def text_frame(payload: bytes) -> bytes:
    """A text message; `payload` is UTF-8."""
    return encode(payload, TEXT)


def binary_frame(payload: bytes) -> bytes:
    return encode(payload, BINARY)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a reason that is too long for a control frame is cut at a character's boundary."""
    text = reason.encode()[: MAX_CONTROL_PAYLOAD - 2].decode(errors="ignore").encode()
    return encode(code.to_bytes(2, "big") + text, CLOSE)


def read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame's payload; 1005 for an empty one (RFC 6455, section 7.1.5).

    Raises Violation: 1002 for one byte or a code that may not be sent, 1007 for a reason that is not UTF-8.
    """
    try:
        close = Close.parse(payload)
    except ProtocolError as error:
        raise Violation(PROTOCOL_ERROR, str(error)) from None
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA, "close reason is not UTF-8") from None
    return int(close.code), close.reason


class _Partial:
    """A message of which some fragments have come."""

    __slots__ = ("decoder", "opcode", "payload")

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode
        # Joined as they come, so that a million empty or one-byte fragments cost no more than their payload.
        self.payload = bytearray()
        self.decoder = _Utf8Decoder() if opcode == TEXT else None

    def add(self, payload: bytes, final: bool) -> None:
        if self.decoder is not None:
            try:
                self.decoder.decode(payload, final)
            except UnicodeDecodeError:
                raise Violation(INVALID_DATA, "text is not UTF-8") from None
        self.payload += payload


class FrameParser:
    """Parses one client's frames, however they are cut into segments.

    Memory held between calls is bounded by `max_message` bytes of fragments, plus one frame and one segment.
    """

    __slots__ = ("_held", "_needed", "_partial", "_short", "max_message")

    def __init__(self, max_message: int) -> None:
        """`max_message` is in bytes of payload, counted over all fragments of a message."""
        self.max_message = max_message
        self._short = min(max_message, MAX_CONTROL_PAYLOAD)
        self._held: bytearray | None = None
        self._needed = 0
        self._partial: _Partial | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (opcode, payload) of each message and control frame that `data` completes, in order.

        TEXT and BINARY come whole and defragmented, text validated as UTF-8; CLOSE payloads are valid for
        `read_close`. Exhaust the iterator before feeding more. Nothing may be fed after a CLOSE, which ends it, or
        after a Violation, which comes after what preceded it was yielded.
        """
        if self._held is not None:
            self._held += data
            # Fewer than `_needed` bytes decide nothing: to look earlier would make slow delivery quadratic.
            if len(self._held) < self._needed:
                return
            data = bytes(self._held)
            self._held = None
        position, end, short = 0, len(data), self._short
        needed = 2
        while end - position >= 2:
            first = data[position]
            length = data[position + 1] - 128
            # Whether it is a frame that chat is made of, before any other question is asked.
            start = position + 6
            plain = first == _FINAL_TEXT and self._partial is None
            if length == _LENGTH_16 and end >= start + 2:
                length = data[position + 2] << 8 | data[position + 3]
                start += 2
                plain = plain and short < length <= self.max_message
            else:
                plain = plain and 0 <= length <= short
            if not plain:
                header, length = self._read_header(data, position, end)
                start = position + header
            stop = start + length
            if stop > end:
                needed = stop - position
                break
            payload = apply_mask(data[start:stop], data[start - 4 : start])
            position = stop
            if plain:
                if not payload.isascii():
                    _check_utf8(payload)
                yield TEXT, payload
                continue
            opcode = first & 0x0F
            if opcode == CLOSE:
                read_close(payload)
                yield CLOSE, payload
                return
            if opcode > BINARY:
                yield opcode, payload
            elif first & FINAL and opcode:
                if opcode == TEXT:
                    _check_utf8(payload)
                yield opcode, payload
            elif (message := self._add(opcode, payload, first >= FINAL)) is not None:
                yield message.opcode, bytes(message.payload)
        if position < end:
            self._held = bytearray(data[position:])
            self._needed = needed

    def _add(self, opcode: int, payload: bytes, final: bool) -> _Partial | None:
        """Takes a fragment; returns the message that it completes."""
        message = self._partial or _Partial(opcode)
        message.add(payload, final)
        self._partial = None if final else message
        return message if final else None

    def _read_header(self, data: bytes, position: int, end: int) -> tuple[int, int]:
        """Bytes of the header, masking key included, and of the payload.

        Where the length is not there yet: the bytes needed to read it, and 0.
        """
        first, second = data[position], data[position + 1]
        length = second & 0x7F
        opcode = first & 0x0F
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits are set")
        if not second & 0x80:
            raise Violation(PROTOCOL_ERROR, "frame is not masked")
        if opcode in (CLOSE, PING, PONG):
            if not first & FINAL:
                raise Violation(PROTOCOL_ERROR, "control frame is fragmented")
            if length > MAX_CONTROL_PAYLOAD:
                raise Violation(PROTOCOL_ERROR, "control frame is longer than 125 bytes")
            return 6, length
        if opcode > BINARY:
            raise Violation(PROTOCOL_ERROR, "unknown opcode")
        if (opcode == CONTINUATION) != (self._partial is not None):
            raise Violation(PROTOCOL_ERROR, "continuation frame where none may be, or none where one must be")
        header = 6
        if length > MAX_CONTROL_PAYLOAD:
            width = 2 if length == 126 else 8
            if end - position < 2 + width:
                return 2 + width, 0
            header += width
            length = _read_extended_length(data[position + 2 : position + 2 + width])
        if length + (len(self._partial.payload) if self._partial else 0) > self.max_message:
            raise Violation(TOO_BIG, f"message is longer than {self.max_message} bytes")
        return header, length


def _read_extended_length(field: bytes) -> int:
    length = int.from_bytes(field, "big")
    if length >> 63:
        raise Violation(PROTOCOL_ERROR, "the length's most significant bit is set")
    if length < (126 if len(field) == 2 else 65536):
        raise Violation(PROTOCOL_ERROR, "length is not in its shortest form")
    return length


def _check_utf8(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA, "text is not UTF-8") from None
