"""Fuzz the frame parser: `python -m tests.fuzz.frames --seconds 60`, guided by coverage.

An input is read as a script: valid frames, spoilt frames and raw bytes, cut into segments at random. The parser must
end in messages or in a Violation, say the same however the bytes are cut, and hold no more than its bound.
"""

import sys

from realtime.gateway import frames
from realtime.gateway.frames import BINARY, CLOSE, TEXT, FrameParser, Violation
from tests.fuzz.guided import run

MAX_MESSAGE = 2048
# What a parser may hold beyond its fragments: one frame's header, and bytearray's slack of an eighth.
SLACK = 64


class Script:
    """An input, consumed from the front; zeros where it has ended."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        self._position += count
        return taken

    def number(self, below: int) -> int:
        return int.from_bytes(self.take(2), "big") % below


def stream(script: Script) -> bytes:
    """Frames by the script: mostly valid ones, so that a fuzzer gets past the first header."""
    written = bytearray()
    while script and len(written) < 20_000:
        kind = script.number(8)
        if kind == 0:
            written += script.take(script.number(40))
            continue
        first = script.take(1) or b"\x81"
        length = script.number(200) if kind < 6 else script.number(3 * MAX_MESSAGE)
        head = bytearray(first if kind == 7 else bytes([first[0] & 0x8F]))
        head += bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        if kind == 5:
            head[script.number(len(head))] ^= 1 << script.number(8)
        # Long payloads of one byte, or an input would have to be as long as what it means.
        payload = script.take(length) if length < 126 else script.take(1) * length
        written += head + bytes(4) + payload
    return bytes(written)


def parse(data: bytes, sizes: list[int]) -> tuple[list[tuple[int, bytes]], int]:
    """Events and close code of `data`, cut into segments of the given sizes, over and over."""
    parser = FrameParser(MAX_MESSAGE)
    events: list[tuple[int, bytes]] = []
    position = turn = 0
    try:
        while position < len(data):
            segment = data[position : position + sizes[turn % len(sizes)]]
            position += len(segment)
            turn += 1
            for opcode, payload in parser.feed(segment):
                events.append((opcode, payload))
                if opcode == CLOSE:
                    return events, 0
            check_memory(parser, len(segment))
    except Violation as violation:
        return events, violation.code
    return events, 0


def check_memory(parser: FrameParser, segment: int) -> None:
    held = sys.getsizeof(parser._held) if parser._held is not None else 0
    fragments = sys.getsizeof(parser._partial.payload) if parser._partial is not None else 0
    assert held <= (MAX_MESSAGE + SLACK + segment) * 9 // 8 + SLACK, held
    assert fragments <= MAX_MESSAGE * 9 // 8 + 2 * SLACK, fragments


def target(data: bytes) -> None:
    script = Script(data)
    sizes = [1 + script.number(50), 1 + script.number(3000), 1 + script.number(8)]
    written = stream(script)
    events, code = parse(written, sizes)
    assert (events, code) == parse(written, [len(written) + 1]), "the same bytes, cut otherwise, mean something else"
    assert code in (0, 1002, 1007, 1009)
    for opcode, payload in events:
        assert opcode in (TEXT, BINARY, 8, 9, 10)
        assert len(payload) <= (MAX_MESSAGE if opcode <= BINARY else 125)
        if opcode == TEXT:
            payload.decode()


if __name__ == "__main__":
    run(
        target,
        [
            (FrameParser, "feed"),
            (FrameParser, "_read_header"),
            (frames._Partial, "add"),
            (frames, "_read_extended_length"),
            (frames, "read_close"),
        ],
        __doc__,
    )
