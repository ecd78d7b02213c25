"""The two ways of writing the protocol's objects, as a client needs them."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from loadtest.wire import BINARY, TEXT


class Seen(Struct):
    """What is looked at in an object from the server, be it an event or a reply."""

    type: str
    id: int | None = None
    pos: int | None = None
    room: Any = None
    """An event's room id; the whole room in the reply to `room.join` and `room.create`."""
    message: Any = None
    """A message, or an error's text."""
    code: str | None = None
    epoch: str = ""
    recovered: bool = False
    events: Raw = Raw(b"")
    held: bool = False
    delayed: bool = False
    retry: bool = False
    retry_after_ms: int = 0
    first: int | None = msgspec.field(default=None, name="from")
    to: int | None = None


class Codec:
    """One subprotocol of `galaxy.v1`; frames are of `opcode`."""

    def __init__(
        self,
        name: str,
        opcode: int,
        encode: Callable[[Any], bytes],
        decode: Callable[[bytes], Seen],
        split: Callable[[bytes], Sequence[Raw]],
        array: Callable[[Sequence[bytes]], bytes],
    ):
        self.name = name
        self.subprotocol = f"galaxy.v1.{name}"
        self.opcode = opcode
        self.encode = encode
        self.decode = decode
        self.split = split
        """An array's elements, undecoded."""
        self.array = array
        """The array of elements that are encoded already."""


def _json_array(elements: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def _msgpack_array(elements: Sequence[bytes]) -> bytes:
    return msgspec.msgpack.encode([Raw(element) for element in elements])


JSON = Codec(
    "json",
    TEXT,
    msgspec.json.Encoder().encode,
    msgspec.json.Decoder(Seen).decode,
    msgspec.json.Decoder(list[Raw]).decode,
    _json_array,
)
MSGPACK = Codec(
    "msgpack",
    BINARY,
    msgspec.msgpack.Encoder().encode,
    msgspec.msgpack.Decoder(Seen).decode,
    msgspec.msgpack.Decoder(list[Raw]).decode,
    _msgpack_array,
)
CODECS = {codec.name: codec for codec in (JSON, MSGPACK)}
