"""Commands in, objects out: JSON and MessagePack, one codec object each."""

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import Struct

from realtime.gateway.frames import binary_frame, text_frame
from rooms.commands import AnyCommand
from rooms.errors import Rejected

JSON_SUBPROTOCOL = "galaxy.v1.json"
MSGPACK_SUBPROTOCOL = "galaxy.v1.msgpack"


class _Head(Struct):
    """What an error reply needs of a command that cannot be decoded."""

    id: int | None = None
    type: str | None = None


class BadCommand(Exception):
    """What was received is no command. `id` is the command's, where it can be read."""

    def __init__(self, rejected: Rejected, command_id: int | None):
        super().__init__(rejected.message)
        self.rejected = rejected
        self.id = command_id


class Codec:
    """One way of writing the protocol's objects. `text` says which kind of WebSocket message carries them."""

    __slots__ = ("_decode", "_head", "encode", "frame", "name", "text")

    def __init__(
        self,
        name: str,
        text: bool,
        decoder: Callable[[Any], Any],
        encode: Callable[[Any], bytes],
        frame: Callable[[bytes], bytes],
    ):
        self.name = name
        self.text = text
        self._decode = decoder(AnyCommand).decode
        self._head = decoder(_Head).decode
        self.encode = encode
        self.frame = frame

    def framed(self, message: object) -> bytes:
        """The object as a whole WebSocket frame, to be written to any number of connections."""
        return self.frame(self.encode(message))

    def decode(self, data: bytes) -> AnyCommand:
        """Raises BadCommand for what is no object, names no known command, or has a field of the wrong type."""
        try:
            return cast(AnyCommand, self._decode(data))
        except msgspec.ValidationError as error:
            raise self._invalid(data, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadCommand(Rejected("bad_request", f"This is no {self.name} object: {error}"), None) from None

    def _invalid(self, data: bytes, text: str) -> BadCommand:
        try:
            head = self._head(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = _Head()
        command_id = head.id if head.id is not None and 0 < head.id <= 2**53 - 1 else None
        what, _, path = text.partition(" - at ")
        field = path.strip("`").removeprefix("$").removeprefix(".")
        if missing := re.search(r"missing required field `(\w+)`", what):
            field = f"{field}.{missing[1]}".lstrip(".")
        if field == "type" and head.type is not None:
            shown = head.type[:64]
            return BadCommand(Rejected("unknown_command", f"There is no command {shown!r}.", field="type"), command_id)
        return BadCommand(Rejected("bad_request", what.replace("`", ""), field=field or None), command_id)


JSON = Codec("JSON", True, msgspec.json.Decoder, msgspec.json.Encoder().encode, text_frame)
MSGPACK = Codec("MessagePack", False, msgspec.msgpack.Decoder, msgspec.msgpack.Encoder().encode, binary_frame)
BY_SUBPROTOCOL = {None: JSON, JSON_SUBPROTOCOL: JSON, MSGPACK_SUBPROTOCOL: MSGPACK}
