"""Chunks: what is written in any form, interleaved in any way and cut anywhere, is read as it was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rtmp.chunks import ABORT, AUDIO, COMMAND, DATA, LARGEST_MESSAGE, VIDEO, ChunkReader, Message, write_message
from relay.rtmp.errors import Violation
from tests.relay.rtmp.writing import AnyWriter, basic

CLOCK = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 0xFFFFFE, 0xFFFFFF, 0x1000000, 2**32 - 1]))
STEP = st.sampled_from([0, 20, 33, 0xFFFFFE, 0xFFFFFF, 0x1000001, 2**32 - 5])
SIZES = st.sampled_from([0, 1, 5, 127, 128, 129, 700])
STREAM = st.sampled_from([2, 3, 63, 64, 319, 320, 65_599])


def read(data: bytes, cuts: list[int]) -> list[Message]:
    reader, found, at = ChunkReader(), [], 0
    for cut in [*cuts, len(data)]:
        reader.receive(data[at : at + cut])
        at += cut
        while (message := reader.next_message()) is not None:
            found.append(message)
    assert reader.buffered == 0
    return found


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[int, Message]]:
    """In chunk streams with a clock each, which may repeat its step."""
    clocks: dict[int, int] = {}
    found = []
    for _ in range(draw(st.integers(1, 12))):
        stream = draw(STREAM)
        clocks[stream] = clocks[stream] + draw(STEP) & 0xFFFFFFFF if stream in clocks else draw(CLOCK)
        size, kind = draw(SIZES), draw(st.sampled_from([AUDIO, VIDEO, DATA, COMMAND]))
        found.append(
            (
                stream,
                Message(kind, draw(st.sampled_from([0, 1])), clocks[stream], bytes([draw(st.integers(0, 255))]) * size),
            )
        )
    return found


@given(messages(), st.data(), st.booleans())
def test_every_form_is_read(sent: list[tuple[int, Message]], data: st.DataObject, repeat_extended: bool) -> None:
    writer = AnyWriter(lambda below: data.draw(st.integers(0, below - 1)), repeat_extended=repeat_extended)
    written = b"".join(piece for stream, message in sent for piece in writer.pieces(message, stream))
    # Without a repetition, what begins as the extended timestamp does cannot be told from one.
    first = {message.timestamp >> 24 for _, message in sent} | {0x00, 0x01, 0xFF}
    if repeat_extended or all(message.data and message.data[0] not in first for _, message in sent):
        cuts = data.draw(st.lists(st.integers(0, 40), max_size=60))
        assert read(written, cuts) == [message for _, message in sent]


@given(messages(), st.data())
def test_messages_of_several_chunk_streams_are_interleaved(
    sent: list[tuple[int, Message]], data: st.DataObject
) -> None:
    writer = AnyWriter(lambda below: 0)
    waiting: dict[int, list[bytes]] = {}
    for stream, message in sent:
        waiting.setdefault(stream, []).extend(writer.pieces(message, stream))
    written = b""
    while waiting:
        stream = data.draw(st.sampled_from(sorted(waiting)))
        written += waiting[stream].pop(0)
        if not waiting[stream]:
            del waiting[stream]
    found = read(written, [])
    for stream in {stream for stream, _ in sent}:
        mine = [message for other, message in sent if other == stream]
        assert [message for message in found if message in mine][: len(mine)] != []
        assert all(m in found for m in mine)
    assert len(found) == len(sent)


@given(CLOCK, st.binary(max_size=1_000), st.integers(128, 70_000), st.integers(2, 63))
def test_what_we_write_is_read(timestamp: int, payload: bytes, chunk: int, stream: int) -> None:
    message = Message(VIDEO, 1, timestamp, payload)
    reader = ChunkReader()
    reader.receive(write_message(Message(1, 0, 0, chunk.to_bytes(4)), 2, 128))
    reader.receive(write_message(message, stream, chunk) * 2)
    assert [reader.next_message(), reader.next_message(), reader.next_message()] == [message, message, None]


def test_an_aborted_message_is_forgotten() -> None:
    begun = AnyWriter(lambda below: 0).pieces(Message(VIDEO, 1, 5, bytes(300)), 6)[0]
    abort = write_message(Message(2, 0, 0, (6).to_bytes(4)), 2, 128)
    whole = write_message(Message(VIDEO, 1, 9, b"next"), 6, 128)
    assert read(begun + abort + whole, []) == [Message(VIDEO, 1, 9, b"next")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (basic(3, 5), "begins with a header of type 3"),
        (write_message(Message(1, 0, 0, (64).to_bytes(4)), 2, 128), "Set Chunk Size: 64"),
        (write_message(Message(1, 0, 0, b"\xff\xff\xff\xff"), 2, 128), "Set Chunk Size"),
        (write_message(Message(1, 0, 0, b"\0"), 2, 128), "shorter than four bytes"),
        (basic(0, 6) + bytes(3) + (LARGEST_MESSAGE + 1).to_bytes(3) + bytes(5), "message of"),
        (basic(0, 6) + bytes(3) + (300).to_bytes(3) + bytes(133) + basic(0, 6) + bytes(139), "within another"),
        (b"".join(write_message(Message(9, 1, 0, b""), stream, 128) for stream in range(2, 64))
         + b"".join(basic(0, stream) + bytes(11) for stream in range(64, 70)),
         "more than 64 chunk streams"),
    ],
)  # fmt: skip
def test_what_breaks_a_bound_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(Violation, match=reason):
        read(data, [])


def test_what_is_aborted_is_weighed_too() -> None:
    """Or a publisher could send as much as they like, and finish nothing."""
    reader = ChunkReader()
    begun = write_message(Message(VIDEO, 1, 0, bytes(100_000)), 6, 128)
    abort = write_message(Message(ABORT, 0, 0, (6).to_bytes(4)), 2, 128)
    half = begun[: 12 + 128 + 400 * 129]
    for _ in range(10):
        reader.receive(half + abort)
        assert reader.next_message() is None
    assert reader.buffered == 0
    assert reader.weight >= 10 * 400 * 128
