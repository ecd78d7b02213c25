"""RTMP's chunk stream (specification 5.3): messages cut into chunks, which may be interleaved."""

import struct

from msgspec import Struct

from relay.rtmp.errors import Violation

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA_AMF3, COMMAND_AMF3, DATA, COMMAND = 8, 9, 15, 17, 18, 20

LEAST_CHUNK = 128
"""Bytes a chunk: what the specification asks for (5.4.1). Less would cost us more than it costs the peer."""
MOST_STREAMS = 64
"""Chunk streams of one connection. Encoders use four to six."""
LEAST_WEIGHT = 128
LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of a message, and of all that are begun. A keyframe of a second at 12 Mbit/s has 1.5 MB."""

_EXTENDED = 0xFFFFFF
_CLOCK = 0xFFFFFFFF


class Message(Struct, frozen=True, gc=False):
    """`kind` is the message type id, `stream` the message stream id, `timestamp` in milliseconds modulo 2**32."""

    kind: int
    stream: int
    timestamp: int
    data: bytes


class _Stream:
    """What a chunk stream's next header leaves out, and its message as far as it has come."""

    __slots__ = ("delta", "extended", "kind", "length", "parts", "received", "stream", "timestamp")

    def __init__(self) -> None:
        self.kind = self.stream = self.length = self.timestamp = self.delta = self.received = 0
        self.extended = b""
        self.parts: list[bytes] = []


class ChunkReader:
    """Bytes into messages. Set Chunk Size and Abort are acted on here and are not given on."""

    def __init__(self, largest_message: int = LARGEST_MESSAGE):
        self.weight = 0
        """Bytes of all messages until now, aborted ones too; each whole one counts for at least LEAST_WEIGHT, as small
        ones cost more than bytes.
        """
        self._largest = largest_message
        self._chunk = LEAST_CHUNK
        self._streams: dict[int, _Stream] = {}
        self._buffer = bytearray()
        self._at = 0
        self._begun = 0

    @property
    def buffered(self) -> int:
        """Bytes held: of chunks that are not whole, and of messages that are not."""
        return len(self._buffer) - self._at + self._begun

    def receive(self, data: bytes) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def next_message(self) -> Message | None:
        """None where more bytes are needed. Raises Violation; nothing more is to be read then."""
        while (chunk := self._next_chunk()) is not None:
            if chunk.received != chunk.length:
                continue
            self.weight += max(chunk.length, LEAST_WEIGHT)
            message = Message(chunk.kind, chunk.stream, chunk.timestamp, b"".join(chunk.parts))
            self._forget(chunk)
            if message.kind == SET_CHUNK_SIZE:
                self._set_chunk_size(message.data)
            elif message.kind == ABORT:
                aborted = self._streams.get(_number(message.data, "Abort"))
                if aborted is not None:
                    self.weight += aborted.received
                    self._forget(aborted)
            else:
                return message
        return None

    def _forget(self, stream: _Stream) -> None:
        self._begun -= stream.received
        stream.received = 0
        stream.parts = []

    def _set_chunk_size(self, data: bytes) -> None:
        size = _number(data, "Set Chunk Size")
        if not LEAST_CHUNK <= size <= 0x7FFFFFFF:
            raise Violation(f"Set Chunk Size: {size}; {LEAST_CHUNK} is the least")
        self._chunk = size

    def _next_chunk(self) -> _Stream | None:
        """The chunk stream of which one more chunk has come whole; None where none has."""
        buffer, at = self._buffer, self._at
        left = len(buffer) - at
        if left < 1:
            return None
        form, number = buffer[at] >> 6, buffer[at] & 63
        at += 1
        if number < 2:
            at += number + 1
            if at > len(buffer):
                return None
            number = 64 + int.from_bytes(buffer[at - number - 1 : at], "little")
        stream = self._streams.get(number)
        if stream is None:
            if form > 1:
                raise Violation(f"chunk stream {number} begins with a header of type {form}")
            if len(self._streams) == MOST_STREAMS:
                raise Violation(f"more than {MOST_STREAMS} chunk streams")
            stream = _Stream()
        head = _read_head(buffer, at, form, stream)
        if head is None:
            return None
        at, field, extended, length, kind, stream_id = head
        if form != 3 and stream.received:
            raise Violation(f"chunk stream {number}: a message begins within another")
        if length > self._largest or self._begun + length - stream.received > self._largest:
            raise Violation(f"message of {length} bytes; {self._largest} is the most")
        end = at + min(self._chunk, length - stream.received)
        if end > len(buffer):
            return None
        if not stream.received:
            if form == 0:
                stream.timestamp = field
            else:
                stream.timestamp = stream.timestamp + field & _CLOCK
            stream.delta, stream.extended = field, extended
            stream.length, stream.kind, stream.stream = length, kind, stream_id
            self._streams[number] = stream
        stream.parts.append(bytes(buffer[at:end]))
        stream.received += end - at
        self._begun += end - at
        self._at = end
        return stream


def _number(data: bytes, name: str) -> int:
    if len(data) < 4:
        raise Violation(f"{name}: shorter than four bytes")
    return int.from_bytes(data[:4])


def _read_head(buffer: bytearray, at: int, form: int, stream: _Stream) -> tuple[int, int, bytes, int, int, int] | None:
    """(where the payload begins, timestamp or delta, extended timestamp as sent, length, kind, message stream); None
    where the header is not whole.
    """
    size = (11, 7, 3, 0)[form]
    if len(buffer) < at + size:
        return None
    length, kind, stream_id = stream.length, stream.kind, stream.stream
    field, extended = stream.delta, stream.extended
    if form < 3:
        field, extended = int.from_bytes(buffer[at : at + 3]), b""
        if form < 2:
            length, kind = int.from_bytes(buffer[at + 3 : at + 6]), buffer[at + 6]
            if form == 0:
                stream_id = int.from_bytes(buffer[at + 7 : at + 11], "little")
        at += size
        if field == _EXTENDED:
            if len(buffer) < at + 4:
                return None
            extended = bytes(buffer[at : at + 4])
            field = int.from_bytes(extended)
            at += 4
    elif extended:
        # A type 3 chunk repeats it (5.3.1.3), yet some encoders leave it out: then these bytes are payload.
        found = buffer[at : at + 4]
        if found == extended:
            at += 4
        elif extended.startswith(found):
            return None
    return at, field, extended, length, kind, stream_id


def write_message(message: Message, chunk_stream: int, chunk_size: int) -> bytes:
    """One message in chunks: the first with a header of type 0, the others of type 3. `chunk_stream` is 2 to 63."""
    timestamp, data = message.timestamp & _CLOCK, message.data
    extended = timestamp.to_bytes(4) if timestamp >= _EXTENDED else b""
    head = struct.pack(
        ">BBHBHB", chunk_stream, min(timestamp, _EXTENDED) >> 16, min(timestamp, _EXTENDED) & 0xFFFF,
        len(data) >> 16, len(data) & 0xFFFF, message.kind,
    )  # fmt: skip
    parts = [head, message.stream.to_bytes(4, "little"), extended, data[:chunk_size]]
    following = bytes((0xC0 | chunk_stream,)) + extended
    for at in range(chunk_size, len(data), chunk_size):
        parts += (following, data[at : at + chunk_size])
    return b"".join(parts)
