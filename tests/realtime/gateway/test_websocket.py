"""An open connection against a running server: messages, violations, closing in every order, flow, heartbeats."""

import gc
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from realtime.gateway.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, binary_frame, text_frame
from realtime.gateway.websocket import Connection, Limits
from tests.realtime.gateway.rawws import RawClient, close_payload, frame
from tests.realtime.gateway.wsserver import Recorder, RecordingAcceptor, ServerThread, server_thread

QUICK = Limits(close_seconds=0.2)


@pytest.fixture(scope="module")
def acceptor() -> RecordingAcceptor:
    return RecordingAcceptor()


@pytest.fixture(scope="module")
def server(acceptor: RecordingAcceptor) -> Iterator[ServerThread]:
    with server_thread(acceptor, QUICK, tick=0.02) as running:
        yield running


@pytest.fixture
def client(server: ServerThread) -> Iterator[RawClient]:
    with RawClient(server.port) as raw:
        raw.open()
        yield raw


@pytest.fixture
def recorder(client: RawClient, acceptor: RecordingAcceptor) -> Recorder:
    found = acceptor.next()
    assert acceptor.recorders.empty()
    return found


# --- messages


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_every_boundary(client: RawClient, recorder: Recorder, opcode: int, length: int) -> None:
    payload = b"x" * length
    client.send(frame(opcode, payload))
    assert client.read_frame() == (opcode, payload)
    assert recorder.next() == ("message", payload, opcode == TEXT)


def test_fragments_with_control_frames_between(client: RawClient, recorder: Recorder) -> None:
    client.send(frame(TEXT, "é".encode()[:1], fin=False), frame(PING, b"1"), frame(CONTINUATION, b"\xa9"))
    assert [client.read_frame(), client.read_frame()] == [(PONG, b"1"), (TEXT, "é".encode())]
    assert recorder.next() == ("message", "é".encode(), True)


def test_ten_pings_are_answered_one_by_one(client: RawClient, recorder: Recorder) -> None:
    client.send(*(frame(PING, bytes([n]) * 125) for n in range(10)))
    assert [client.read_frame() for _ in range(10)] == [(PONG, bytes([n]) * 125) for n in range(10)]


def test_an_unsolicited_pong_is_no_event(client: RawClient, recorder: Recorder) -> None:
    client.send(frame(PONG, b"?"), frame(TEXT, b"x"))
    assert client.read_frame() == (TEXT, b"x")


# --- violations

VIOLATIONS = {
    "reserved bit": (1002, frame(TEXT, b"x", rsv=4)),
    "bad opcode": (1002, frame(5)),
    "unmasked": (1002, frame(TEXT, b"x", mask=None)),
    "fragmented ping": (1002, frame(PING, fin=False)),
    "long ping": (1002, frame(PING, bytes(126))),
    "continuation of nothing": (1002, frame(CONTINUATION, b"x")),
    "bad UTF-8": (1007, frame(TEXT, b"\xff")),
    "bad UTF-8 in fragments": (1007, frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"x")),
    "too long": (1009, frame(BINARY, bytes(65537))),
    "too long by its header": (1009, frame(BINARY, length=1 << 40)),
    "bad close code": (1002, frame(CLOSE, close_payload(1005))),
    "bad close payload": (1002, frame(CLOSE, b"\x03")),
    "bad close reason": (1007, frame(CLOSE, close_payload(1000, b"\xff"))),
}


@pytest.mark.parametrize(("code", "data"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_named_and_ends_the_connection(
    client: RawClient, recorder: Recorder, code: int, data: bytes
) -> None:
    client.send(frame(TEXT, b"before"), data, frame(TEXT, b"after"))
    assert client.read_frame() == (TEXT, b"before")
    assert client.read_close()[0] == code
    client.close()
    assert recorder.next() == ("message", b"before", True)
    assert recorder.next()[:2] == ("closed", code)
    assert recorder.calls.empty()


def test_the_close_frame_arrives_although_the_peer_goes_on_sending(client: RawClient, recorder: Recorder) -> None:
    client.send(frame(TEXT, b"x", rsv=1), bytes(2_000_000))
    assert client.read_close()[0] == 1002


def test_who_stays_after_a_violation_is_cut_off(client: RawClient, recorder: Recorder) -> None:
    client.send(frame(TEXT, b"x", mask=None))
    assert client.read_close()[0] == 1002
    assert recorder.next_closed()[0] == 1002


# --- closing


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", 1005, ""),
        (close_payload(1000), 1000, ""),
        (close_payload(1001, "tschüß".encode()), 1001, "tschüß"),
        (close_payload(3000), 3000, ""),
        (close_payload(4999, b"r" * 123), 4999, "r" * 123),
    ],
)
def test_the_peer_closes(client: RawClient, recorder: Recorder, payload: bytes, code: int, reason: str) -> None:
    client.send(frame(TEXT, b"a"), frame(CLOSE, payload), frame(TEXT, b"b"), frame(PING))
    assert client.read_frame() == (TEXT, b"a")
    assert client.read_frame() == (CLOSE, payload)
    assert client.read_frame() == (-1, b"")
    client.socket.shutdown(socket.SHUT_WR)
    assert recorder.next() == ("message", b"a", True)
    assert recorder.next_closed() == (code, reason)
    assert recorder.endings == 1


def test_we_close(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    server.run(lambda: recorder.connection.close(3005, "token expired"))
    assert client.read_frame() == (CLOSE, close_payload(3005, b"token expired"))
    client.send(frame(TEXT, b"in flight"), frame(PING), frame(CLOSE, close_payload(3005)))
    assert client.read_frame() == (-1, b"")
    client.socket.shutdown(socket.SHUT_WR)
    assert recorder.next_closed() == (3005, "token expired")
    assert recorder.endings == 1


def test_both_close_at_once(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    """The peer's close is in the kernel before ours is written, and is read after."""

    def close_before_reading() -> None:
        recorder.connection.pause_reading()
        client.send(frame(CLOSE, close_payload(1001)))
        recorder.connection.close(3001)

    server.run(close_before_reading)
    assert client.read_close() == (3001, b"")
    client.socket.shutdown(socket.SHUT_WR)
    assert recorder.next_closed() == (3001, "")
    assert recorder.endings == 1


def test_a_violation_after_our_close_sends_nothing_more(
    server: ServerThread, client: RawClient, recorder: Recorder
) -> None:
    server.run(lambda: recorder.connection.close(3013))
    client.send(frame(TEXT, b"x", rsv=7))
    assert client.read_close() == (3013, b"")
    assert recorder.next_closed() == (3013, "")


def test_who_does_not_answer_our_close_is_cut_off(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    server.run(lambda: recorder.connection.close(3503))
    assert recorder.next_closed() == (3503, "")
    assert recorder.endings == 1
    assert client.read_close() == (3503, b"")


def test_closing_twice_is_closing_once(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    def close_twice() -> bool:
        recorder.connection.close(3005)
        recorder.connection.close(3008)
        return recorder.connection.closing

    assert server.run(close_twice)
    assert client.read_frame() == (CLOSE, close_payload(3005))


def test_nothing_is_written_behind_a_close(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    def write_late() -> bool:
        recorder.connection.close(3005)
        return recorder.connection.write(text_frame(b"late"))

    assert server.run(write_late) is False
    client.send(frame(CLOSE, close_payload(3005)))
    assert client.read_close() == (3005, b"")


def test_the_peer_vanishes_without_a_close(client: RawClient, recorder: Recorder) -> None:
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_frame() == (-1, b"")
    assert recorder.next_closed() == (1006, "")
    assert recorder.endings == 1


def test_the_peer_resets(client: RawClient, recorder: Recorder) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert recorder.next_closed() == (1006, "")
    assert recorder.endings == 1


def test_abort(server: ServerThread, client: RawClient, recorder: Recorder) -> None:
    server.run(recorder.connection.abort)
    assert recorder.next_closed() == (1006, "")
    assert recorder.endings == 1
    assert server.run(lambda: (recorder.connection.write(b"x"), recorder.connection.unsent)) == (False, 0)
    server.run(lambda: recorder.connection.close(1000))
    server.run(recorder.connection.resume_reading)


def test_connections_are_known_to_the_server_until_they_end(
    server: ServerThread, client: RawClient, recorder: Recorder
) -> None:
    client.send(frame(TEXT, b"x"))
    client.read_frame()
    assert server.run(lambda: any(isinstance(c, Connection) for c in server.server.server_state.connections))
    client.send(frame(CLOSE))
    client.socket.shutdown(socket.SHUT_WR)
    while server.connections:
        pass


def test_a_stopping_server_says_so() -> None:
    acceptor = RecordingAcceptor()
    with server_thread(acceptor) as server:
        client = RawClient(server.port)
        client.open()
        threading.Thread(target=lambda: server.loop.call_soon_threadsafe(server.server.begin_drain)).start()
        assert client.read_frame() == (CLOSE, close_payload(3001, b"shutting down"))
        client.send(frame(CLOSE, close_payload(3001)))
        assert client.read_frame() == (-1, b"")
        client.socket.shutdown(socket.SHUT_WR)
        assert acceptor.next().next_closed() == (3001, "shutting down")
        client.close()


# --- the application's side


def misbehave(connection: Connection, data: bytes) -> None:
    match data:
        case b"crash":
            raise ValueError("a bug")
        case b"close":
            connection.close(3013)
        case b"abort":
            connection.abort()
        case b"pause":
            connection.pause_reading()


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[tuple[RecordingAcceptor, ServerThread]]:
    acceptor = RecordingAcceptor(on_message=misbehave)
    with server_thread(acceptor, QUICK, tick=0.02) as server:
        yield acceptor, server


@pytest.mark.parametrize(("word", "code"), [(b"crash", 1011), (b"close", 3013), (b"abort", 1006)])
def test_no_message_comes_after_the_end(
    misbehaving: tuple[RecordingAcceptor, ServerThread], word: bytes, code: int
) -> None:
    with RawClient(misbehaving[1].port) as client:
        client.open(frame(TEXT, word), frame(TEXT, b"next"), frame(TEXT, b"bad", rsv=1), frame(TEXT, b"more"))
        recorder = misbehaving[0].next()
        assert recorder.next() == ("message", word, True)
        assert recorder.next()[:2] == ("closed", code)
        assert recorder.calls.empty()


def test_reading_pauses_and_resumes(misbehaving: tuple[RecordingAcceptor, ServerThread]) -> None:
    acceptor, server = misbehaving
    with RawClient(server.port) as client:
        client.open(frame(TEXT, b"pause"))
        recorder = acceptor.next()
        assert recorder.next() == ("message", b"pause", True)
        client.send(frame(TEXT, b"later"))
        assert server.run(recorder.connection.transport.is_reading) is False
        assert recorder.calls.empty()
        server.run(recorder.connection.resume_reading)
        assert recorder.next() == ("message", b"later", True)


# --- slow readers


def test_a_slow_reader_is_visible_and_the_drain_is_told(server: ServerThread, acceptor: RecordingAcceptor) -> None:
    with RawClient(server.port, receive_buffer=4096) as client:
        client.open()
        recorder = acceptor.next()
        block = binary_frame(bytes(16384))
        written = 0

        def fill() -> int:
            nonlocal written
            while recorder.connection.write(block):
                written += len(block)
            written += len(block)
            return recorder.connection.unsent

        unsent = server.run(fill)
        assert unsent > 65536
        # What the kernel took of it is bounded by TCP_NOTSENT_LOWAT and windows, not by a send buffer of megabytes.
        assert written - unsent < 1_000_000
        for _ in range(written // len(block)):
            assert client.read_frame() == (BINARY, bytes(16384))
        assert recorder.next() == ("writable",)
        assert server.run(lambda: recorder.connection.unsent) == 0


def test_a_ping_flood_whose_pongs_nobody_reads_is_bounded(server: ServerThread, acceptor: RecordingAcceptor) -> None:
    with RawClient(server.port, receive_buffer=4096) as client:
        client.open()
        recorder = acceptor.next()
        connection = recorder.connection
        flood = b"".join(frame(PING, n.to_bytes(4, "big") * 30) for n in range(4000))
        for _ in range(20):
            client.send(flood)
        client.send(frame(PING, b"latest"), frame(TEXT, b"done"))
        assert recorder.next() == ("message", b"done", True)
        unsent, skipped = server.run(lambda: (connection.unsent, connection.counters.pongs_skipped))
        assert unsent < 65536 + 1000
        assert recorder.chokes
        assert skipped > 1000
        pongs = 0
        while (answer := client.read_frame()) != (TEXT, b"done"):
            assert answer[0] == PONG
            pongs += 1
        assert pongs < 80_000
        assert client.read_frame() == (PONG, b"latest")


def test_unsent_data_does_not_keep_a_closed_connection(server: ServerThread, acceptor: RecordingAcceptor) -> None:
    """Neither our close nor the peer's end of stream waits for ever for a peer that does not read."""
    for end in ("ours", "theirs"):
        with RawClient(server.port, receive_buffer=4096) as client:
            client.open()
            recorder = acceptor.next()
            server.run(lambda connection=recorder.connection: connection.write(binary_frame(bytes(5_000_000))))  # type: ignore[misc]  # mypy takes the default for a parameter
            if end == "ours":
                server.run(lambda connection=recorder.connection: connection.close(3008))  # type: ignore[misc]  # the same
            else:
                client.socket.shutdown(socket.SHUT_WR)
            assert recorder.next_closed()[0] == (3008 if end == "ours" else 1006)


# --- heartbeat


def test_pings_come_again_and_again_and_a_pong_is_enough() -> None:
    acceptor = RecordingAcceptor()
    limits = Limits(ping_seconds=0.2, pong_seconds=0.15)
    with server_thread(acceptor, limits, tick=0.02) as server, RawClient(server.port) as client:
        client.open()
        for _ in range(5):
            assert client.read_frame() == (PING, b"")
            client.send(frame(PONG))
        assert server.run(lambda: acceptor.next().connection.closing) is False


def test_no_pong_is_3012() -> None:
    acceptor = RecordingAcceptor()
    limits = Limits(ping_seconds=0.1, pong_seconds=0.1, close_seconds=0.1)
    with server_thread(acceptor, limits, tick=0.02) as server, RawClient(server.port) as client:
        client.open()
        assert client.read_frame() == (PING, b"")
        assert client.read_close() == (3012, b"no pong")
        assert acceptor.next().next_closed() == (3012, "no pong")


def test_whoever_we_do_not_read_from_is_not_blamed_for_missing_pongs() -> None:
    acceptor = RecordingAcceptor()
    limits = Limits(ping_seconds=0.02, pong_seconds=0.02)
    with server_thread(acceptor, limits, tick=0.01) as server, RawClient(server.port) as client:
        client.open()
        recorder = acceptor.next()
        server.run(recorder.connection.pause_reading)
        assert client.read_frame() == (PING, b"")
        client.send(frame(PONG), frame(TEXT, b"x"))
        wheel = recorder.connection.wheel
        deadline = server.run(lambda: recorder.connection.due)
        while server.run(lambda: recorder.connection.due) <= deadline + 3:
            pass
        assert server.run(lambda: recorder.connection.closing) is False
        server.run(recorder.connection.resume_reading)
        while (answer := client.read_frame())[0] == PING:
            pass
        assert answer == (TEXT, b"x")
        assert len(wheel) == 1


def test_pongs_that_waited_while_the_process_stalled_count() -> None:
    acceptor = RecordingAcceptor()
    limits = Limits(ping_seconds=0.5, pong_seconds=0.2)
    with server_thread(acceptor, limits, tick=0.02) as server, RawClient(server.port) as client:
        client.open()

        def stall(connection: Connection, data: bytes, client: RawClient = client) -> None:
            client.send(frame(PONG))
            time.sleep(0.5)

        acceptor.on_message = stall
        connection = acceptor.next().connection
        with RawClient(server.port) as other:
            assert client.read_frame() == (PING, b"")
            other.open(frame(TEXT, b"stall"))
            assert client.read_frame() == (PING, b"")
        assert server.run(lambda: connection.closing) is False


def test_first_pings_are_spread() -> None:
    acceptor = RecordingAcceptor()
    with server_thread(acceptor, Limits(ping_seconds=100)) as server:
        clients = [RawClient(server.port) for _ in range(50)]
        for client in clients:
            client.open()
        dues = server.run(lambda: [acceptor.next().connection.due for _ in clients])
        assert len(set(dues)) > 40
        assert max(dues) - min(dues) <= 202
        for client in clients:
            client.close()


# --- memory


def test_a_connection_that_ends_leaves_nothing_for_the_collector(acceptor: RecordingAcceptor) -> None:
    def alive() -> int:
        return sum(isinstance(item, Connection) for item in gc.get_objects())

    with server_thread(acceptor, QUICK, tick=0.02) as server:
        gc.collect()
        before = alive()
        gc.disable()
        try:
            for end in (frame(CLOSE), frame(TEXT, rsv=1), b""):
                with RawClient(server.port) as client:
                    client.open(frame(TEXT, b"x"), frame(TEXT, b"y", fin=False), end)
                    acceptor.next().next()
                while server.connections:
                    pass
            assert alive() == before
        finally:
            gc.enable()


def test_what_fails_at_the_end_takes_no_descriptor_of_others(
    server: ServerThread, client: RawClient, recorder: Recorder
) -> None:
    def fail() -> None:
        raise RuntimeError("at the end")

    recorder.on_ending = fail
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert recorder.next_closed() == (1006, "")
    assert recorder.connection.socket is None
    assert server.connections == 0
