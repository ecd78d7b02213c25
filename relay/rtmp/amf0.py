"""AMF0 (Action Message Format, Adobe, December 2007), the form of RTMP's commands and metadata.

Numbers are floats here, objects and ECMA arrays dicts, strict arrays lists; null, undefined and unsupported are None; a
date is the float of its milliseconds; XML is text.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from relay.rtmp.errors import Violation

DEEPEST = 8
"""Objects and arrays within one another. Commands of real encoders have three."""

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA, _END, _STRICT, _DATE, _LONG, _UNSUPPORTED, _XML, _TYPED = 8, 9, 10, 11, 12, 13, 15, 16
_NOTHING: Final = frozenset({_NULL, _UNDEFINED, _UNSUPPORTED})

MOST_VALUES = 1_000
"""In a message: commands and metadata have some dozens."""

Value = float | bool | str | None | Sequence["Value"] | Mapping[str, "Value"]


class EcmaArray(dict[str, Value]):
    """Written as an ECMA array, as receivers expect metadata to be."""


def decode(data: bytes) -> list[Value]:
    """All the values of a message, one after the other. Raises Violation."""
    reader = _Reader(data, MOST_VALUES)
    values = []
    while reader.at < len(data):
        values.append(reader.value(0))
    return values


class _Reader:
    def __init__(self, data: bytes, most: int):
        self.data, self.at, self._left = data, 0, most

    def take(self, count: int) -> bytes:
        start = self.at
        self.at = start + count
        if self.at > len(self.data):
            raise Violation("AMF0: a value longer than its message")
        return self.data[start : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))

    def text(self, length_bytes: int) -> str:
        return self.take(self.number(length_bytes)).decode(errors="replace")

    def value(self, depth: int) -> Value:
        self._left -= 1
        if self._left < 0:
            raise Violation(f"AMF0: more than {MOST_VALUES} values")
        marker = self.number(1)
        if marker in _NOTHING:
            return None
        if marker == _NUMBER:
            return float(struct.unpack(">d", self.take(8))[0])
        if marker == _BOOLEAN:
            return self.number(1) != 0
        if marker == _STRING:
            return self.text(2)
        if marker in (_LONG, _XML):
            return self.text(4)
        if marker == _DATE:
            return float(struct.unpack(">dxx", self.take(10))[0])
        if depth == DEEPEST:
            raise Violation(f"AMF0: nested deeper than {DEEPEST}")
        if marker == _STRICT:
            # A count that is too high runs into the message's end: a value takes at least a byte.
            return [self.value(depth + 1) for _ in range(self.number(4))]
        if marker == _ECMA:
            self.take(4)  # how many there are is a hint (2.10)
        elif marker == _TYPED:
            self.text(2)
        elif marker != _OBJECT:
            raise Violation(f"AMF0: type marker {marker}")
        return self.members(depth)

    def members(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            name = self.text(2)
            if not name and self.data[self.at : self.at + 1] == b"\x09":
                self.at += 1
                return found
            found[name] = self.value(depth + 1)


def encode(*values: Value) -> bytes:
    """The values of a message, one after the other."""
    written = bytearray()
    for value in values:
        _write(value, written)
    return bytes(written)


def _write(value: Value, out: bytearray) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out += bytes((_BOOLEAN, value))
    elif isinstance(value, int | float):
        out += struct.pack(">Bd", _NUMBER, value)
    elif isinstance(value, str):
        text = value.encode()
        short = len(text) <= 0xFFFF
        out += struct.pack(">BH" if short else ">BI", _STRING if short else _LONG, len(text)) + text
    elif isinstance(value, Mapping):
        out += struct.pack(">BI", _ECMA, len(value)) if isinstance(value, EcmaArray) else bytes((_OBJECT,))
        for name, member in value.items():
            key = name.encode()
            out += len(key).to_bytes(2) + key
            _write(member, out)
        out += bytes((0, 0, _END))
    else:
        out += struct.pack(">BI", _STRICT, len(value))
        for item in value:
            _write(item, out)
