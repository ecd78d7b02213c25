"""Commands as they come off the wire, in both codecs: wrong values name their field, unknown fields are ignored."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from msgspec import Meta, Struct, UnsetType
from msgspec.structs import fields

from rooms import commands as c
from rooms.ids import MAX_SAFE_INTEGER

KINDS: dict[str, type[c.Command]] = {kind.__struct_config__.tag: kind for kind in get_args(c.AnyCommand)}

Decode = Callable[[Any], Any]
CODECS: dict[str, Decode] = {
    "json": lambda value: msgspec.json.decode(msgspec.json.encode(value), type=c.AnyCommand),
    "msgpack": lambda value: msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=c.AnyCommand),
}


@pytest.fixture(params=CODECS)
def decode(request: pytest.FixtureRequest) -> Decode:
    return CODECS[request.param]


class Shape:
    """What a field's annotation lets in: an example, values of wrong types, and values of its type out of bounds."""

    def __init__(self, annotation: Any):
        self.optional = False
        self.meta: list[Meta] = []
        self.kind: Any = None
        self._read(annotation)

    def _read(self, annotation: Any) -> None:
        if get_origin(annotation) is Annotated:
            kind, *meta = get_args(annotation)
            self.meta += meta
            self._read(kind)
        elif get_origin(annotation) in (Union, type(int | None)):
            for option in get_args(annotation):
                if option is type(None):
                    self.optional = True
                elif option is not UnsetType:
                    self._read(option)
        else:
            assert self.kind is None, f"two kinds in {annotation}"
            self.kind = annotation

    @property
    def bounds(self) -> Meta:
        (meta,) = self.meta or [Meta()]
        return meta

    @property
    def example(self) -> Any:
        if get_origin(self.kind) is Literal:
            return get_args(self.kind)[-1]
        if isinstance(self.kind, type) and issubclass(self.kind, Struct):
            return {f.encode_name: Shape(f.type).example for f in fields(self.kind)}
        return {str: "x", int: self.bounds.ge or 0, bool: True}[self.kind]

    def wrong_types(self) -> list[Any]:
        values: list[Any] = [1.5, True, 7, "text", [], [1], {}, {"a": 1}, [[[]]]]
        if not self.optional:
            values.append(None)
        good = (dict,) if isinstance(self.kind, type) and issubclass(self.kind, Struct) else (self.kind,)
        if get_origin(self.kind) is Literal:
            good = (str,)
        return [value for value in values if type(value) not in good]

    def out_of_bounds(self) -> list[Any]:
        meta = self.bounds
        values: list[Any] = []
        if self.kind is int:
            assert meta.ge is not None
            assert meta.le is not None
            values += [meta.ge - 1, meta.le + 1, -1, 2**53, 2**63, 2**64 - 1, 1e300]
        if self.kind is str:
            assert meta.pattern or meta.max_length
            if meta.max_length:
                values.append("x" * (meta.max_length + 1))
            if meta.min_length:
                values.append("")
            if meta.pattern:
                values += ["", "x" * 65, "a b", "a/b", "é", "a\n", "\x00", "<script>"]
        if get_origin(self.kind) is Literal:
            values += ["", "nonsense", get_args(self.kind)[0].upper()]
        return values


def body(kind: type[c.Command]) -> dict[str, Any]:
    """The command with an example in every field."""
    assert isinstance(kind.__struct_config__.tag, str)
    return {"type": kind.__struct_config__.tag} | {f.encode_name: Shape(f.type).example for f in fields(kind)}


def each_field(kind: type[Struct], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    for field in fields(kind):
        shape = Shape(field.type)
        yield (*path, field.encode_name), shape
        if isinstance(shape.kind, type) and issubclass(shape.kind, Struct):
            yield from each_field(shape.kind, (*path, field.encode_name))


FIELDS = [(name, path, shape) for name, kind in KINDS.items() for path, shape in each_field(kind)]
OPTIONAL = [field for field in FIELDS if field[2].optional]


def named(field: tuple[str, tuple[str, ...], Shape]) -> str:
    return f"{field[0]}:{'.'.join(field[1])}"


def replaced(value: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    first, *rest = path
    return value | {first: replaced(value[first], tuple(rest), new) if rest else new}


def test_every_command_of_the_protocol_is_known() -> None:
    protocol = """
        hello ping refresh ticket.create room.create room.update room.close room.list room.join room.leave room.events
        invite.create invite.list invite.revoke invite.accept member.join member.leave member.list member.role
        member.mute member.unmute member.kick member.ban member.unban message.send message.edit message.delete
        message.react message.unreact message.pin message.unpin message.list message.search pending.list
        message.approve message.deny read.mark read.list typing presence.get report.create
    """
    assert set(protocol.split()) <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_command_is_read_and_unknown_fields_are_ignored(name: str, decode: Decode) -> None:
    whole = body(KINDS[name])
    command = decode(whole)
    assert type(command) is KINDS[name]
    assert msgspec.to_builtins(command) == whole
    assert decode(whole | {"unknown": 1, "also": {"deep": [None]}, "": ""}) == command


@pytest.mark.parametrize("name", KINDS)
def test_optional_fields_may_be_left_out_and_required_ones_are_named(name: str, decode: Decode) -> None:
    kind = KINDS[name]
    needed = {f.encode_name for f in fields(kind) if f.required}
    least = {key: value for key, value in body(kind).items() if key == "type" or key in needed}
    assert type(decode(least)) is kind
    for key in needed:
        with pytest.raises(msgspec.ValidationError, match=f"missing required field `{key}`"):
            decode({k: v for k, v in least.items() if k != key})


@pytest.mark.parametrize(("name", "path", "shape"), FIELDS, ids=map(named, FIELDS))
def test_wrong_values_name_their_field(name: str, path: tuple[str, ...], shape: Shape, decode: Decode) -> None:
    whole = body(KINDS[name])
    for wrong in [*shape.wrong_types(), *shape.out_of_bounds()]:
        with pytest.raises(msgspec.ValidationError) as refused:
            decode(replaced(whole, path, wrong))
        at = re.search(r"at `\$\.(.+)`$", str(refused.value))
        assert at, f"{wrong!r}: {refused.value}"
        assert at[1] == ".".join(path), repr(wrong)


@pytest.mark.parametrize(("name", "path", "shape"), OPTIONAL, ids=map(named, OPTIONAL))
def test_null_means_left_out_where_a_field_may_be(
    name: str, path: tuple[str, ...], shape: Shape, decode: Decode
) -> None:
    whole = body(KINDS[name])
    without = {key: value for key, value in whole.items() if key != path[0]}
    assert decode(replaced(whole, path, None)) == decode(without)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        1.5,
        "ping",
        [],
        ["ping"],
        {},
        {"type": None},
        {"type": 1},
        {"type": "nonsense"},
        {"type": ["ping"]},
    ],
    ids=repr,
)
def test_what_is_no_command(value: Any, decode: Decode) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"type":"ping"} x',
        b'{"type":"ping","id":1e999}',
        b'{"type":"message.send","room":"r","text":"\\ud800"}',
        b'{"type":"message.send","room":"r","text":"\xed\xa0\x80"}',
        b'{"type":"message.send","room":"r","text":"\xff"}',
        b"[" * 100_000,
        b'{"type":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_hostile_json_gives_one_kind_of_error(text: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError, RecursionError)):
        msgspec.json.decode(text, type=c.AnyCommand)


def test_ten_thousand_keys_are_read_over(decode: Decode) -> None:
    assert decode({"type": "ping", "id": 1} | {f"k{n}": n for n in range(10_000)}) == c.Ping(id=1)


def test_the_largest_integers(decode: Decode) -> None:
    assert decode({"type": "ping", "id": MAX_SAFE_INTEGER}) == c.Ping(id=MAX_SAFE_INTEGER)
    with pytest.raises(msgspec.ValidationError, match=r"at `\$.id`"):
        decode({"type": "ping", "id": MAX_SAFE_INTEGER + 1})


def test_only_these_may_leave_the_id_out_for_no_reply() -> None:
    assert {name for name, kind in KINDS.items() if kind.id_optional} == {"typing", "read.mark"}


def test_each_command_that_changes_something_takes_a_key() -> None:
    changing = {kind.__struct_config__.tag for kind in get_args(c.Decided)}
    with_key = {name for name, kind in KINDS.items() if "key" in kind.__struct_fields__}
    assert changing <= with_key
