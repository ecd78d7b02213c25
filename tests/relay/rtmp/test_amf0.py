"""AMF0: values come back as they were; what is no AMF0 is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rtmp.amf0 import DEEPEST, EcmaArray, Value, decode, encode
from relay.rtmp.errors import Violation

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PLAIN = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), TEXT, st.just("x" * 70_000))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(TEXT.filter(bool), inner, max_size=3),
        st.dictionaries(TEXT.filter(bool), inner, max_size=3).map(EcmaArray),
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=4))
def test_values_come_back(values: list[Value]) -> None:
    try:
        assert decode(encode(*values)) == values
    except Violation as violation:
        assert "nested deeper" in str(violation)


@given(st.binary(max_size=60))
def test_bytes_are_values_or_refused(data: bytes) -> None:
    try:
        values = decode(data)
    except Violation:
        return
    assert len(values) <= len(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (bytes.fromhex("0b 40f0000000000000 0000"), 65_536.0),
        (bytes.fromhex("06"), None),
        (bytes.fromhex("0d"), None),
        (bytes.fromhex("0f 00000003") + b"<a>", "<a>"),
        (bytes.fromhex("10 0001 41 0001 62 0101 0000 09"), {"b": True}),
        (bytes.fromhex("08 00000009 0001 62 0100 0000 09"), {"b": False}),
        (bytes.fromhex("02 0002 ff41"), "\ufffdA"),
    ],
)
def test_what_we_do_not_write_is_read(data: bytes, value: Value) -> None:
    assert decode(data) == [value]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x02\0\5abc", "longer than its message"),
        (b"\x0a\xff\xff\xff\xff", "longer than its message"),
        (b"\x07\0\0", "type marker 7"),
        (b"\x03\0\1a" * (DEEPEST + 2), "nested deeper"),
        (b"\x03\0\1a\5", "longer than its message"),
        (b"\5" * 1_001, "more than 1000 values"),
        (b"\x0a\0\0\x0f\xff" + b"\5" * 4_095, "more than 1000 values"),
    ],
)
def test_what_is_malformed_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(Violation, match=reason):
        decode(data)
