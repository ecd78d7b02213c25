"""Commands in, objects out: JSON and MessagePack, one codec object each."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]  # ships no types
import msgspec
from msgspec import Struct

from realtime.gateway.frames import binary_frame, text_frame
from rooms.commands import AnyCommand
from rooms.errors import Rejected
from rooms.ids import MAX_SAFE_INTEGER

JSON_SUBPROTOCOL = "galaxy.v1.json"
MSGPACK_SUBPROTOCOL = "galaxy.v1.msgpack"


class _Head(Struct):
    """What an error reply needs of a command that cannot be decoded."""

    id: Any = None
    type: Any = None

    @property
    def command_id(self) -> int | None:
        known = isinstance(self.id, int) and not isinstance(self.id, bool) and 0 < self.id <= MAX_SAFE_INTEGER
        return self.id if known else None


class BadCommand(Exception):
    """What was received is no command. `id` is the command's, where it can be read."""

    def __init__(self, rejected: Rejected, command_id: int | None):
        super().__init__(rejected.message)
        self.rejected = rejected
        self.id = command_id


class Codec:
    """One way of writing the protocol's objects. `text` says which kind of WebSocket message carries them."""

    __slots__ = ("_array", "_decode", "_head", "_lenient", "encode", "frame", "name", "text")

    def __init__(
        self,
        name: str,
        text: bool,
        decoder: Callable[[Any], Any],
        lenient: Callable[[bytes], Any],
        encode: Callable[[Any], bytes],
        frame: Callable[[bytes], bytes],
        array: Callable[[Sequence[bytes]], bytes],
    ):
        """`lenient` decodes anything, with lone surrogates for what is no Unicode; raises ValueError and its like.
        `array` makes one of encoded elements.
        """
        self.name = name
        self.text = text
        self._decode = decoder(AnyCommand).decode
        self._head = decoder(_Head).decode
        self._lenient = lenient
        self.encode = encode
        self.frame = frame
        self._array = array

    def framed(self, message: object) -> bytes:
        """The object as a whole WebSocket frame, to be written to any number of connections."""
        return self.frame(self.encode(message))

    def event(self, event: object, epoch: str) -> bytes:
        """The codec as the hub's way of writing events; only server-sent events need the epoch in each."""
        return self.framed(event)

    def part(self, event: object, epoch: str) -> bytes:
        """One event of many; see `whole`."""
        return self.encode(event)

    def whole(self, parts: Sequence[bytes]) -> msgspec.Raw:
        """Encoded events as an array, to stand in an object that is yet to be encoded."""
        return msgspec.Raw(self._array(parts))

    def decode(self, data: bytes) -> AnyCommand:
        """Raises BadCommand for what is no object, names no known command, or has a field of the wrong type."""
        try:
            return cast(AnyCommand, self._decode(data))
        except msgspec.ValidationError as error:
            raise self._invalid(data, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._malformed(data, error) from None

    def _invalid(self, data: bytes, text: str) -> BadCommand:
        try:
            head = self._head(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = _Head()
        what, _, path = text.replace("`", "").partition(" - at ")
        if path.startswith("key in "):
            what, path = f"{what}, as a key", path.removeprefix("key in ")
        field = path.removeprefix("$").removeprefix(".")
        if missing := re.search(r"missing required field (\w+)", what):
            field = f"{field}.{missing[1]}".lstrip(".")
        if field == "type" and isinstance(head.type, str):
            rejected = Rejected("unknown_command", f"There is no command {head.type[:64]!r}.", field="type")
        else:
            rejected = Rejected("bad_request", what, field=field or None)
        return BadCommand(rejected, head.command_id)

    def _malformed(self, data: bytes, error: Exception) -> BadCommand:
        """Half of a surrogate pair (RFC 8259 section 8.2) comes of cutting a text short: who did it is told where."""
        try:
            value = self._lenient(data)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            value = None
        if isinstance(value, dict):
            head = _Head(id=value.get("id"))
            for name, text in value.items():
                if isinstance(text, str) and _SURROGATE.search(text):
                    field = name if isinstance(name, str) and name.isidentifier() and len(name) <= 64 else None
                    rejected = Rejected("bad_request", "This is not valid Unicode text.", field=field)
                    return BadCommand(rejected, head.command_id)
        return BadCommand(Rejected("bad_request", f"This is no {self.name} object: {error}"), None)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _json_array(elements: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def _msgpack_array(elements: Sequence[bytes]) -> bytes:
    header: bytes = _packer.pack_array_header(len(elements))
    return header + b"".join(elements)


_packer = msgpack.Packer()


def _lenient_json(data: bytes) -> Any:
    return json.loads(data.decode(errors="surrogateescape"))


def _lenient_msgpack(data: bytes) -> Any:
    return msgpack.unpackb(data, unicode_errors="surrogateescape", strict_map_key=False)


JSON = Codec("JSON", True, msgspec.json.Decoder, _lenient_json, msgspec.json.Encoder().encode, text_frame, _json_array)
MSGPACK = Codec(
    "MessagePack", False, msgspec.msgpack.Decoder, _lenient_msgpack, msgspec.msgpack.Encoder().encode, binary_frame,
    _msgpack_array,
)  # fmt: skip
BY_SUBPROTOCOL = {None: JSON, JSON_SUBPROTOCOL: JSON, MSGPACK_SUBPROTOCOL: MSGPACK}
