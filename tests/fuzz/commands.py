"""Fuzz the command parser: `python -m tests.fuzz.commands --seconds 60`.

An input is read as a script: a command of some type, its fields given values of any type and size, written as JSON or
MessagePack, perhaps spoilt. Decoding must end in a command or in a BadCommand, whose reply can be written.
"""

from typing import Any, get_args

import msgspec

from realtime.gateway.codecs import JSON, MSGPACK, BadCommand, Codec
from rooms.commands import AnyCommand, Command
from rooms.errors import CODES
from tests.fuzz.frames import Script
from tests.fuzz.guided import run

KINDS: tuple[Any, ...] = get_args(AnyCommand)
WORDS = ("r", "g.lobby", "ann", "", "0", "é你🙂", "\u202e", "\x00", "a" * 70, "a" * 70_000, "public", "group", "member")
NUMBERS = (0, 1, -1, 7, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**64 - 1, 0.5, 1e300)


def value(script: Script, depth: int = 0) -> Any:
    kind = script.number(9)
    match kind:
        case 0 | 1 | 2:
            return WORDS[script.number(len(WORDS))]
        case 3 | 4:
            return NUMBERS[script.number(len(NUMBERS))]
        case 5:
            return (None, True, False)[script.number(3)]
        case 6 if depth < 40:
            return [value(script, depth + 1) for _ in range(script.number(4))]
        case 7 if depth < 40:
            return {WORDS[script.number(len(WORDS))]: value(script, depth + 1) for _ in range(script.number(4))}
        case _:
            return script.take(script.number(30)).decode("latin-1")


def written(script: Script) -> tuple[bytes, bool]:
    """An object that is nearly a command, and whether as JSON."""
    kind = KINDS[script.number(len(KINDS))]
    fields: dict[str, Any] = {"type": kind.__struct_config__.tag, "id": 1}
    for field in msgspec.structs.fields(kind):
        if field.name != "id" and script.number(4):
            fields[field.name] = value(script)
    if not script.number(8):
        fields[("type", "id", "extra")[script.number(3)]] = value(script)
    as_json = bool(script.number(2))
    data = bytearray((msgspec.json if as_json else msgspec.msgpack).encode(fields))
    for _ in range(script.number(4)):
        data[script.number(len(data))] = script.number(256)
    if not script.number(16):
        data += script.take(40)
    return bytes(data), as_json


def target(data: bytes) -> None:
    script = Script(data)
    payload, as_json = written(script)
    codec = JSON if as_json else MSGPACK
    try:
        command = codec.decode(payload)
    except BadCommand as bad:
        assert bad.rejected.code in CODES
        assert bad.id is None or 1 <= bad.id <= 2**53 - 1
        codec.encode(bad.rejected.reply(bad.id))
    else:
        assert isinstance(command, Command)
        assert command.id is None or 1 <= command.id <= 2**53 - 1


if __name__ == "__main__":
    run(target, [(Codec, "decode"), (Codec, "_invalid")], __doc__)
