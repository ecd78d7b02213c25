"""Streams cut anywhere are the same streams."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.stream import Reference, Unframed
from loadtest.peers.nats import Nats
from loadtest.peers.peer import Codec, Failed, Message
from loadtest.peers.websockets_broadcast import WebsocketsBroadcast
from loadtest.wire import BINARY, framed

MESSAGES = [Message("r", text, text.encode()) for text in ("one", "two" * 50, "three" * 20_000)]
JSON = Codec("json")


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, size), max_size=8).map(lambda found: [0, *sorted(found), size])


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    return [data[begin:end] for begin, end in pairwise(at) if begin < end]


STREAM = b"".join(framed(message.event) for message in MESSAGES)
ENDS = [5, 5 + 4 + 150, 5 + 4 + 150 + 10 + 100_000]


@given(cuts(len(STREAM)))
def test_a_stream_cut_anywhere_ends_its_messages_at_the_same_bytes(at: list[int]) -> None:
    reference = Reference(WebsocketsBroadcast(JSON), MESSAGES)
    assert sum(reference.feed(piece) for piece in pieces(STREAM, at)) == len(STREAM)
    assert reference.ends == ENDS
    reference.reset()
    assert reference.feed(STREAM[:5]) == 5
    assert reference.ends == [5]


def nats_stream(together: int) -> tuple[bytes, list[int]]:
    """Several messages to a frame, as one flush gathers them; and where they end without the frames."""
    said = [b"MSG r 1 %d\r\n%s\r\n" % (len(message.event), message.event) for message in MESSAGES * 2]
    frames = [framed(b"".join(said[i : i + together]), BINARY) for i in range(0, len(said), together)]
    return b"".join(frames), [sum(map(len, said[: i + 1])) for i in range(len(said))]


@given(st.integers(1, 6), st.data())
def test_frames_of_any_number_of_messages_are_counted_without_their_headers(together: int, data: st.DataObject) -> None:
    stream, ends = nats_stream(together)
    parts = pieces(stream, data.draw(cuts(len(stream))))
    reference = Reference(Nats(JSON), MESSAGES)
    assert sum(reference.feed(part) for part in parts) == ends[-1]
    assert reference.ends == ends
    unframed = Unframed()
    assert sum(unframed.count(bytearray(part + b"left over"), len(part)) for part in parts) == ends[-1]


def test_another_message_than_is_due_fails() -> None:
    reference = Reference(WebsocketsBroadcast(JSON), MESSAGES)
    with pytest.raises(Failed, match=r"delivered b'twotwo.* where b'one' was due"):
        reference.feed(framed(MESSAGES[1].event))


def test_half_a_message_at_the_end_of_a_run_fails() -> None:
    reference = Reference(WebsocketsBroadcast(JSON), MESSAGES)
    reference.feed(STREAM[:7])
    with pytest.raises(Failed, match="2 bytes of an unfinished object remain"):
        reference.reset()


def test_what_is_no_message_of_nats_fails() -> None:
    with pytest.raises(Failed, match="said b'PING' where a message was due"):
        Reference(Nats(JSON), MESSAGES).feed(framed(b"PING\r\n", BINARY))
