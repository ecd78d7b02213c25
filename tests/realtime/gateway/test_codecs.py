import json
from typing import Any, get_args

import msgpack  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.gateway.codecs import BY_SUBPROTOCOL, JSON, MSGPACK, BadCommand, Codec
from realtime.gateway.frames import BINARY, TEXT
from rooms import commands as c

CODECS = [pytest.param(JSON, id="json"), pytest.param(MSGPACK, id="msgpack")]
both = pytest.mark.parametrize("codec", CODECS)
CREATE = {"type": "room.create", "id": 5, "kind": "group", "title": "T", "visibility": "public"}
SEND = {"type": "message.send", "id": 5, "room": "r", "text": "hi"}


def encoded(codec: Codec, value: Any) -> bytes:
    """Also what our own encoders would not write: lone surrogates, NaN, integers of any size."""
    if codec is JSON:
        return json.dumps(value).encode()
    return bytes(msgpack.packb(value, unicode_errors="surrogatepass"))


def refused(codec: Codec, data: bytes) -> dict[str, Any]:
    """The error reply, as it would be sent."""
    with pytest.raises(BadCommand) as caught:
        codec.decode(data)
    reply = caught.value.rejected.reply(caught.value.id)
    assert reply["message"]
    codec.encode(reply)
    return reply


def outline(reply: dict[str, Any]) -> tuple[Any, ...]:
    return reply["code"], reply.get("id"), reply.get("field")


class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("command", "field"),
        [
            (CREATE | {"settings": {"slow_seconds": "5"}}, "settings.slow_seconds"),
            (CREATE | {"settings": {"slow_seconds": -1}}, "settings.slow_seconds"),
            (CREATE | {"settings": {"write": "nobody"}}, "settings.write"),
            (CREATE | {"settings": []}, "settings"),
            (CREATE | {"kind": "party"}, "kind"),
            (CREATE | {"kind": None}, "kind"),
            (CREATE | {"title": ""}, "title"),
            (CREATE | {"title": "x" * 101}, "title"),
            ({"type": "room.join", "id": 5, "room": "r", "since": {"epoch": "e", "pos": -1}}, "since.pos"),
            ({"type": "room.join", "id": 5, "room": "r", "since": {"epoch": "e"}}, "since.pos"),
            ({"type": "room.join", "id": 5, "room": "a room"}, "room"),
            ({"type": "room.join", "id": 5, "room": "r\n"}, "room"),
            ({"type": "room.join", "id": 5}, "room"),
            (SEND | {"text": ["hi"]}, "text"),
            (SEND | {"reply_to": 2**53}, "reply_to"),
            (SEND | {"reply_to": 1.5}, "reply_to"),
            (SEND | {"reply_to": True}, "reply_to"),
            (SEND | {"key": ""}, "key"),
            ({"type": "message.list", "id": 5, "room": "r", "limit": 201}, "limit"),
        ],
    )
    def test_name_the_field_and_echo_the_id(self, codec: Codec, command: dict[str, Any], field: str) -> None:
        assert outline(refused(codec, encoded(codec, command))) == ("bad_request", 5, field)

    @both
    @pytest.mark.parametrize("wrong", [0, -1, 2**53, 2**64 - 1, "7", 1.0, True, [7], {"n": 7}, float("inf")])
    def test_an_id_that_is_none_is_not_echoed(self, codec: Codec, wrong: object) -> None:
        if codec is JSON and wrong == float("inf"):
            data = b'{"type":"ping","id":1e400}'
        else:
            data = encoded(codec, {"type": "ping", "id": wrong})
        assert outline(refused(codec, data)) == ("bad_request", None, "id")

    @both
    def test_an_unknown_type_is_named(self, codec: Codec) -> None:
        reply = refused(codec, encoded(codec, {"id": 5, "type": "message.shout"}))
        assert outline(reply) == ("unknown_command", 5, "type")
        assert "message.shout" in reply["message"]
        assert len(refused(codec, encoded(codec, {"type": "x" * 60_000}))["message"]) < 200

    @both
    @pytest.mark.parametrize(
        "command", [{"id": 5}, {"id": 5, "type": None}, {"id": 5, "type": 3}, {"id": 5, "type": {}}]
    )
    def test_a_type_that_is_no_text(self, codec: Codec, command: dict[str, Any]) -> None:
        assert outline(refused(codec, encoded(codec, command))) == ("bad_request", 5, "type")

    @both
    def test_two_mistakes_hide_neither_the_id_nor_the_type(self, codec: Codec) -> None:
        assert outline(refused(codec, encoded(codec, {"type": "nonsense", "id": "x"})))[0] == "unknown_command"
        assert outline(refused(codec, encoded(codec, SEND | {"room": 1, "text": 2})))[1] == 5

    @both
    @pytest.mark.parametrize("value", [None, [], [1], 7, "ping", 1.5, True])
    def test_what_is_no_object_has_no_id(self, codec: Codec, value: object) -> None:
        assert outline(refused(codec, encoded(codec, value))) == ("bad_request", None, None)

    @both
    def test_what_is_cut_short_or_goes_on_is_no_object(self, codec: Codec) -> None:
        whole = encoded(codec, SEND)
        for length in range(len(whole)):
            assert outline(refused(codec, whole[:length])) == ("bad_request", None, None)
        assert outline(refused(codec, whole + b"x")) == ("bad_request", None, None)


class TestText:
    @both
    @pytest.mark.parametrize("text", ["\ud800", "cut \ud83d", "\ude00\ud83d", "\udfff end"])
    def test_half_a_surrogate_pair_is_told_where(self, codec: Codec, text: str) -> None:
        assert outline(refused(codec, encoded(codec, SEND | {"text": text}))) == ("bad_request", 5, "text")

    @both
    def test_half_a_pair_in_a_name_is_told_without_it(self, codec: Codec) -> None:
        reply = refused(codec, encoded(codec, SEND | {"text\ud800": "\ud800", "text": "\ud800"}))
        assert outline(reply)[:2] == ("bad_request", 5)

    def test_bytes_that_are_no_utf8_are_told_where(self) -> None:
        assert outline(refused(JSON, encoded(JSON, SEND).replace(b"hi", b"\xff"))) == ("bad_request", 5, "text")
        packed = encoded(MSGPACK, SEND).replace(b"\xa2hi", b"\xa2\xc0\xaf")
        assert outline(refused(MSGPACK, packed)) == ("bad_request", 5, "text")

    @both
    @pytest.mark.parametrize(
        "text", ["😀", "a\0b", "\u202egnp.exe", "\u202e", "e" + "\u0301" * 50, "\ufeff", "\U0010ffff"]
    )
    def test_all_other_text_comes_through_as_it_is(self, codec: Codec, text: str) -> None:
        command = codec.decode(encoded(codec, SEND | {"text": text}))
        assert isinstance(command, c.MessageSend)
        assert command.text == text


class TestShapes:
    @both
    def test_unknown_fields_are_ignored_however_many(self, codec: Codec) -> None:
        more = {f"k{number}": {"n": [number]} for number in range(10_000)}
        assert codec.decode(encoded(codec, more | {"type": "ping", "id": 5})) == c.Ping(id=5)

    @pytest.mark.parametrize(
        ("codec", "data"),
        [
            (JSON, b'{"type":"ping","id":5,"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
            (JSON, b'{"type":"ping","id":5,"x":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}"),
            (JSON, b"[" * 65_536),
            (JSON, b'{"type":"room.join","id":5,"room":{"a":' + b"[" * 60_000),
            (MSGPACK, b"\x83\xa4type\xa4ping\xa2id\x05\xa1x" + b"\x91" * 60_000 + b"\x01"),
            (MSGPACK, b"\x83\xa4type\xa4ping\xa2id\x05\xa1x" + b"\x81\xa1a" * 20_000 + b"\x01"),
            (MSGPACK, b"\x91" * 65_536),
        ],
    )
    def test_depth_is_refused(self, codec: Codec, data: bytes) -> None:
        assert refused(codec, data)["code"] == "bad_request"

    @pytest.mark.parametrize("number", [b"9" * 400, b"-" + b"9" * 5_000, b"1e400", b"0." + b"1" * 5_000])
    def test_numbers_of_any_size_in_unknown_fields_are_ignored(self, number: bytes) -> None:
        assert JSON.decode(b'{"type":"ping","id":5,"x":%b}' % number) == c.Ping(id=5)

    @pytest.mark.parametrize("number", [b"9" * 400, b"-" + b"9" * 5_000, b"1e400", b"12345678901234567890"])
    def test_numbers_of_any_size_in_known_fields_are_refused(self, number: bytes) -> None:
        data = b'{"type":"message.edit","id":5,"room":"r","text":"x","target":%b}' % number
        assert outline(refused(JSON, data)) == ("bad_request", 5, "target")

    @pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b"0x1", b"'1'", b"undefined"])
    def test_what_is_no_json_is_refused(self, word: bytes) -> None:
        data = b'{"type":"ping","id":5,"x":%b}' % word
        assert outline(refused(JSON, data)) == ("bad_request", None, None)

    @both
    def test_of_a_key_given_twice_the_last_counts(self, codec: Codec) -> None:
        data = b'{"type":"ping","id":5,"id":6}' if codec is JSON else b"\x83\xa4type\xa4ping\xa2id\x05\xa2id\x06"
        assert codec.decode(data) == c.Ping(id=6)


class TestMessagePack:
    @pytest.mark.parametrize(
        "data",
        [
            b"\xdf\x00\x00\x00\x02\xa4type\xa4ping\xa2id\x05",
            b"\xde\x00\x02\xa4type\xa4ping\xa2id\x05",
            b"\x82\xd9\x04type\xda\x00\x04ping\xdb\x00\x00\x00\x02id\x05",
            b"\x82\xa4type\xa4ping\xa2id\xcc\x05",
            b"\x82\xa4type\xa4ping\xa2id\xcf\x00\x00\x00\x00\x00\x00\x00\x05",
            b"\x82\xa4type\xa4ping\xa2id\xd3\x00\x00\x00\x00\x00\x00\x00\x05",
        ],
    )
    def test_every_way_of_writing_the_same_is_read(self, data: bytes) -> None:
        assert MSGPACK.decode(data) == c.Ping(id=5)

    @pytest.mark.parametrize("value", [b"hi", msgpack.ExtType(5, b"hi"), msgpack.Timestamp(5, 5), 5, None, ["hi"]])
    def test_a_text_is_a_string_and_nothing_else(self, value: object) -> None:
        assert outline(refused(MSGPACK, msgpack.packb(SEND | {"text": value}))) == ("bad_request", 5, "text")

    @pytest.mark.parametrize("key", [1, None, b"type", 1.5, True])
    def test_keys_are_strings(self, key: object) -> None:
        assert outline(refused(MSGPACK, msgpack.packb({key: 1} | SEND))) == ("bad_request", None, None)
        nested = CREATE | {"settings": {key: 1}}
        assert outline(refused(MSGPACK, msgpack.packb(nested))) == ("bad_request", 5, "settings")

    @pytest.mark.parametrize(
        "size", [b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1"]
    )
    def test_sizes_that_lie_take_no_memory(self, size: bytes) -> None:
        assert outline(refused(MSGPACK, b"\x83\xa4type\xa4ping\xa2id\x05\xa1x" + size))[0] == "bad_request"
        assert outline(refused(MSGPACK, size)) == ("bad_request", None, None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for command in get_args(c.AnyCommand) for name in command.__struct_fields__})
TYPES = sorted(str(command.__struct_config__.tag) for command in get_args(c.AnyCommand))
OBJECTS = st.builds(
    lambda type, fields: {"type": type} | fields,
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
)


class TestAnything:
    @given(OBJECTS)
    def test_any_object_is_a_command_or_an_error_that_names_a_field(self, value: dict[str, Any]) -> None:
        try:
            command = MSGPACK.decode(msgspec.msgpack.encode(value))
        except BadCommand as bad:
            assert bad.rejected.code == "bad_request"
            assert bad.rejected.field is not None
            assert bad.rejected.field.split(".")[0] in NAMES
            if isinstance(value.get("id"), int) and not isinstance(value["id"], bool) and 0 < value["id"] < 2**53:
                assert bad.id == value["id"]
        else:
            assert command.__struct_config__.tag == value["type"]

    @both
    @given(data=st.binary(max_size=200))
    def test_any_bytes_are_a_command_or_an_error(self, codec: Codec, data: bytes) -> None:
        try:
            codec.decode(data)
        except BadCommand as bad:
            codec.encode(bad.rejected.reply(bad.id))

    @pytest.mark.parametrize("subprotocol", BY_SUBPROTOCOL)
    def test_objects_are_framed_as_the_subprotocol_says(self, subprotocol: str | None) -> None:
        codec = BY_SUBPROTOCOL[subprotocol]
        framed = codec.framed({"type": "ok", "text": "你好"})
        binary = subprotocol == "galaxy.v1.msgpack"
        assert framed[0] == 0x80 | (BINARY if binary else TEXT)
        assert framed[1] == len(framed) - 2
        decode = msgspec.msgpack.decode if binary else msgspec.json.decode
        assert decode(framed[2:]) == {"type": "ok", "text": "你好"}
