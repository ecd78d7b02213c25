"""Frames against RFC 6455, as tables, and against the `websockets` library as an oracle."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from realtime.gateway import frames
from realtime.gateway.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameParser,
    Violation,
    close_frame,
    encode,
    read_close,
)
from tests.fuzz.frames import target
from tests.realtime.gateway.rawws import MASK, close_payload, frame

Event = tuple[int, bytes]
MAX = 65536


def parse(data: bytes, chunk: int = 0, max_message: int = MAX) -> tuple[list[Event], int]:
    """What a stream means: its events, and the close code of the violation that ended it (0: none)."""
    parser = FrameParser(max_message)
    events: list[Event] = []
    size = chunk or max(len(data), 1)
    try:
        for start in range(0, len(data), size):
            events.extend(parser.feed(data[start : start + size]))
            if events and events[-1][0] == CLOSE:
                break
    except Violation as violation:
        return events, violation.code
    return events, 0


EURO = "€".encode()
EMOJI = "😀".encode()
LENGTHS = [0, 1, 125, 126, 127, 128, 65535, 65536]

VALID: dict[str, tuple[bytes, list[Event]]] = {
    "text": (frame(TEXT, b"Hello"), [(TEXT, b"Hello")]),
    "empty text": (frame(TEXT), [(TEXT, b"")]),
    "binary": (frame(BINARY, b"\xff\xfe"), [(BINARY, b"\xff\xfe")]),
    "many in one segment": (frame(TEXT, b"a") + frame(BINARY, b"b") * 3, [(TEXT, b"a")] + [(BINARY, b"b")] * 3),
    "fragments": (
        frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"l", fin=False) + frame(CONTINUATION, b"o"),
        [(TEXT, b"Hello")],
    ),
    "empty fragments": (
        frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION),
        [(BINARY, b"")],
    ),
    "control frames between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"x") + frame(PONG) + frame(CONTINUATION, b"b"),
        [(PING, b"x"), (PONG, b""), (TEXT, b"ab")],
    ),
    "ping of 125 bytes": (frame(PING, b"p" * 125), [(PING, b"p" * 125)]),
    "character split over fragments": (
        frame(TEXT, EMOJI[:1], fin=False)
        + frame(CONTINUATION, EMOJI[1:3], fin=False)
        + frame(CONTINUATION, fin=False)
        + frame(CONTINUATION, EMOJI[3:]),
        [(TEXT, EMOJI)],
    ),
    "text after fragmented text": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(TEXT, b"c"),
        [(TEXT, b"ab"), (TEXT, b"c")],
    ),
    "NUL and the last code point": (frame(TEXT, "\0\U0010ffff".encode()), [(TEXT, "\0\U0010ffff".encode())]),
    "a mask of zeros": (frame(TEXT, b"Hello", mask=bytes(4)), [(TEXT, b"Hello")]),
    "empty close": (frame(CLOSE), [(CLOSE, b"")]),
    "nothing is read behind a close": (frame(CLOSE) + b"\xff" * 20, [(CLOSE, b"")]),
    "close between fragments": (frame(TEXT, b"a", fin=False) + frame(CLOSE), [(CLOSE, b"")]),
    "close with a reason of 123 bytes": (
        frame(CLOSE, close_payload(1000, b"r" * 123)),
        [(CLOSE, close_payload(1000, b"r" * 123))],
    ),
} | {f"{length} bytes": (frame(BINARY, b"*" * length), [(BINARY, b"*" * length)]) for length in LENGTHS}


@pytest.mark.parametrize("chunk", [0, 1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("data", "expected"), VALID.values(), ids=VALID.keys())
def test_valid_streams_mean_the_same_however_they_are_cut(data: bytes, expected: list[Event], chunk: int) -> None:
    assert parse(data, chunk) == (expected, 0)


INVALID: dict[str, tuple[int, bytes]] = (
    {f"reserved bits {rsv}": (1002, frame(TEXT, b"x", rsv=rsv)) for rsv in range(1, 8)}
    | {f"reserved bits {rsv} on a ping": (1002, frame(PING, rsv=rsv)) for rsv in (1, 2, 4)}
    | {f"opcode {opcode}": (1002, frame(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)}
    | {f"opcode {opcode}, unmasked": (1002, frame(opcode, b"x", mask=None)) for opcode in (1, 2, 8, 9, 10)}
    | {f"fragmented control {opcode}": (1002, frame(opcode, fin=False)) for opcode in (CLOSE, PING, PONG)}
    | {f"long control {opcode}": (1002, frame(opcode, b"x" * 126)) for opcode in (CLOSE, PING, PONG)}
    | {f"close code {code}": (1002, frame(CLOSE, close_payload(code))) for code in
       (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)}
    | {
        "continuation of nothing": (1002, frame(CONTINUATION, b"x")),
        "unfinished continuation of nothing": (1002, frame(CONTINUATION, b"x", fin=False)),
        "text within fragments": (1002, frame(TEXT, b"a", fin=False) + frame(TEXT, b"b")),
        "binary within fragments": (1002, frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False)),
        "close payload of one byte": (1002, frame(CLOSE, b"\x03")),
        "close reason that is not UTF-8": (1007, frame(CLOSE, close_payload(1000, b"\xff"))),
        "16-bit length below 126": (1002, b"\x82\xfe\x00\x7d" + MASK + bytes(125)),
        "64-bit length below 65536": (1002, b"\x82\xff" + (65535).to_bytes(8, "big") + MASK),
        "64-bit length with the top bit": (1002, b"\x82\xff" + (1 << 63).to_bytes(8, "big") + MASK),
        "65537 bytes": (1009, frame(BINARY, bytes(65537))),
        "announced, not sent": (1009, frame(BINARY, length=1 << 62)),
        "too long in fragments": (1009, frame(BINARY, bytes(65000), fin=False) + frame(CONTINUATION, bytes(537))),
        "too long, and the text is bad": (1009, frame(TEXT, b"\xff" * 65537)),
    }
    | {
        f"bad UTF-8 {bad!r}": (1007, frame(TEXT, b"ok" + bad))
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80", EURO[:2], b"\x80")
    }
    | {
        f"bad UTF-8 {bad!r} in fragments": (1007, frame(TEXT, bad[:1], fin=False) + frame(CONTINUATION, bad[1:]))
        for bad in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", EURO[:2], EMOJI[:3])
    }
)  # fmt: skip


@pytest.mark.parametrize("chunk", [0, 1, 5])
@pytest.mark.parametrize(("code", "data"), INVALID.values(), ids=INVALID.keys())
def test_violations_have_their_close_code_and_spoil_nothing_before_them(code: int, data: bytes, chunk: int) -> None:
    assert parse(frame(TEXT, b"before") + data, chunk) == ([(TEXT, b"before")], code)


def test_a_message_that_has_ended_has_no_continuation() -> None:
    data = frame(TEXT, b"a", fin=False) + frame(CONTINUATION) + frame(CONTINUATION)
    assert parse(data) == ([(TEXT, b"a")], 1002)


def test_bad_utf8_is_reported_at_its_fragment_not_at_the_message_end() -> None:
    assert parse(frame(TEXT, b"a\xff", fin=False)) == ([], 1007)
    assert parse(frame(TEXT, b"\xf4\x90", fin=False)) == ([], 1007)


def test_a_message_that_is_too_long_is_refused_by_its_header_alone() -> None:
    assert parse(frame(TEXT, length=65537)[:14]) == ([], 1009)


@pytest.mark.parametrize("limit", [0, 5, 125, 126, 1000, 65536, 100_000])
def test_the_bound_is_exact(limit: int) -> None:
    assert parse(frame(BINARY, bytes(limit)), max_message=limit) == ([(BINARY, bytes(limit))], 0)
    assert parse(frame(BINARY, bytes(limit + 1)), max_message=limit) == ([], 1009)
    assert parse(frame(TEXT, bytes(limit + 1)), max_message=limit) == ([], 1009)


def test_control_frames_do_not_count_towards_the_bound() -> None:
    data = frame(BINARY, b"ab", fin=False) + frame(PING, b"ping!") + frame(CONTINUATION, b"c")
    assert parse(data, max_message=3) == ([(PING, b"ping!"), (BINARY, b"abc")], 0)


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
def test_a_flood_of_tiny_fragments_costs_no_more_than_its_payload(payload: bytes) -> None:
    parser = FrameParser(MAX)
    segment = frame(CONTINUATION, payload, fin=False) * 1000
    list(parser.feed(frame(TEXT, fin=False)))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(60):
            assert list(parser.feed(segment)) == []
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2 * MAX


def test_slow_delivery_of_a_large_frame_holds_one_frame_and_looks_at_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    read_header = FrameParser._read_header

    def count(self: FrameParser, data: bytes, position: int, end: int) -> tuple[int, int]:
        nonlocal looks
        looks += 1
        return read_header(self, data, position, end)

    monkeypatch.setattr(FrameParser, "_read_header", count)
    assert parse(frame(BINARY, bytes(MAX)), chunk=1) == ([(BINARY, bytes(MAX))], 0)
    assert looks <= 3


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("length", LENGTHS)
def test_encode_is_what_the_library_writes(opcode: int, length: int) -> None:
    if opcode < CLOSE or length <= 125:
        payload = b"x" * length
        assert encode(payload, opcode) == Frame(Opcode(opcode), payload).serialize(mask=False)


def test_frames_of_both_kinds() -> None:
    assert frames.text_frame(b"Hello") == b"\x81\x05Hello"
    assert frames.binary_frame(b"Hello") == b"\x82\x05Hello"


def test_a_close_reason_is_cut_at_a_character() -> None:
    written = close_frame(3013, "€" * 60)
    code, reason = read_close(written[2:])
    assert (written[1], code, reason) == (2 + 123, 3013, "€" * 41)
    assert read_close(b"") == (1005, "")


# --- the library as an oracle

utf8 = st.text(max_size=300).map(str.encode)
# Well below the bound: at it the library counts control frames between fragments towards the message.
payloads = st.one_of(st.binary(max_size=300), st.sampled_from([0, 1, 125, 126, 127, 1000]).map(lambda n: b"m" * n))
masks = st.binary(min_size=4, max_size=4)


@st.composite
def message(draw: st.DrawFn) -> list[bytes]:
    """One message in one to four frames, cut anywhere, with control frames between them."""
    opcode, payload = draw(st.one_of(st.tuples(st.just(TEXT), utf8), st.tuples(st.just(BINARY), payloads)))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    bounds = list(zip([0, *cuts], [*cuts, len(payload)], strict=True))
    written = []
    for index, (start, stop) in enumerate(bounds):
        kind = CONTINUATION if index else opcode
        written.append(frame(kind, payload[start:stop], fin=index == len(bounds) - 1, mask=draw(masks)))
        for control in draw(st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)):
            written.append(frame(*control, mask=draw(masks)))
    return written


closes = st.sampled_from([b"", close_payload(1000), close_payload(3001, "€".encode()), close_payload(4999, b"bye")])


def oracle(data: bytes) -> tuple[list[Event], int]:
    protocol = Protocol(SERVER, state=OPEN, max_size=MAX)
    protocol.receive_data(data)
    events: list[Event] = []
    opcode, pending = CONTINUATION, b""
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode >= CLOSE:
            events.append((int(event.opcode), bytes(event.data)))
            continue
        opcode = event.opcode or opcode
        pending += bytes(event.data)
        if event.fin:
            events.append((int(opcode), pending))
            pending = b""
    assert protocol.close_sent is None or protocol.close_rcvd is not None or protocol.parser_exc is not None
    return events, 0 if protocol.parser_exc is None or protocol.close_sent is None else int(protocol.close_sent.code)


@settings(deadline=None, max_examples=150)
@given(st.lists(message(), max_size=5), st.one_of(st.none(), closes), st.randoms(use_true_random=False))
def test_any_valid_sequence_in_any_chunks_means_what_the_library_says(
    messages: list[list[bytes]], close: bytes | None, rng: random.Random
) -> None:
    data = b"".join(piece for pieces in messages for piece in pieces)
    if close is not None:
        data += frame(CLOSE, close)
    parser = FrameParser(MAX)
    events: list[Event] = []
    position = 0
    while position < len(data):
        size = rng.choice([1, 2, 5, 100, 4096])
        events.extend(parser.feed(data[position : position + size]))
        position += size
    assert (events, 0) == oracle(data)


@settings(deadline=None, max_examples=150)
@given(message(), st.data())
def test_one_spoilt_byte_is_refused_where_the_library_refuses_it(pieces: list[bytes], data: st.DataObject) -> None:
    """A bit of a header flips. Two differences are meant: the library leaves text's UTF-8 to its caller (1007), and
    takes a close between fragments for an error, where RFC 6455, section 5.4, allows any control frame."""
    piece = data.draw(st.integers(0, len(pieces) - 1))
    bit = data.draw(st.integers(0, 15))
    spoilt = bytearray(pieces[piece])
    spoilt[bit // 8] ^= 1 << bit % 8
    stream = b"".join([*pieces[:piece], bytes(spoilt), *pieces[piece + 1 :]])
    events, code = parse(stream)
    expected, expected_code = oracle(stream)
    closed_between_fragments = expected_code == 1002 and events[-1:] and events[-1][0] == CLOSE
    if code != 1007 and not closed_between_fragments:
        assert events == expected
        # Of two faults either may be named; and the library may still wait for the rest of a frame that we refused.
        assert code or not expected_code


def test_the_fuzz_target_on_a_few_thousand_inputs() -> None:
    rng = random.Random(20261122)
    for _ in range(3000):
        target(rng.randbytes(rng.randrange(400)))
