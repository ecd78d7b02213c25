"""The opening handshake against a running server, and what happens on its edges."""

import logging
from collections.abc import Iterator

import pytest

from realtime.gateway.frames import PING, PONG, TEXT, text_frame
from realtime.gateway.handshake import Handshake, Refused
from realtime.gateway.websocket import Connection
from tests.realtime.gateway.rawws import ACCEPT, RawClient, frame, request
from tests.realtime.gateway.wsserver import RecordingAcceptor, ServerThread, server_thread


@pytest.fixture(scope="module")
def acceptor() -> RecordingAcceptor:
    return RecordingAcceptor()


@pytest.fixture(scope="module")
def server(acceptor: RecordingAcceptor) -> Iterator[ServerThread]:
    with server_thread(acceptor) as running:
        yield running


def test_the_upgrade_and_nothing_more(server: ServerThread) -> None:
    with RawClient(server.port) as client:
        headers = client.open(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
        assert headers["sec-websocket-accept"] == ACCEPT
        assert headers["upgrade"] == "websocket"
        assert not {"sec-websocket-extensions", "sec-websocket-protocol", "server"} & set(headers)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("galaxy.v1.json", "galaxy.v1.json"),
        ("galaxy.v1.msgpack", "galaxy.v1.msgpack"),
        ("galaxy.v1.msgpack, galaxy.v1.json", "galaxy.v1.msgpack"),
        ("graphql-ws,galaxy.v1.json", "galaxy.v1.json"),
    ],
)
def test_the_first_known_subprotocol_is_agreed_on(
    server: ServerThread, acceptor: RecordingAcceptor, offered: str, agreed: str
) -> None:
    with RawClient(server.port) as client:
        assert client.open(Sec_WebSocket_Protocol=offered)["sec-websocket-protocol"] == agreed
    handshake = acceptor.next().handshake
    while handshake.subprotocol is None:
        handshake = acceptor.next().handshake
    assert handshake.subprotocol == agreed


REFUSALS = {
    "unknown subprotocol": (400, request(Sec_WebSocket_Protocol="graphql-ws, galaxy.v2.json")),
    "empty subprotocol": (400, request(Sec_WebSocket_Protocol="")),
    "no key": (400, request(without="Sec-WebSocket-Key")),
    "short key": (400, request(Sec_WebSocket_Key="AAAA")),
    "key that is not base64": (400, request(Sec_WebSocket_Key="!" * 24)),
    "no version": (400, request(without="Sec-WebSocket-Version")),
    "version 8": (400, request(Sec_WebSocket_Version="8")),
    "two keys": (400, request(Sec_WebSocket_Key="x\r\nSec-WebSocket-Key: y")),
    "no host": (400, request(without="Host")),
    "method POST": (405, request().replace(b"GET", b"POST", 1)),
    "other path": (404, request("/v1/sockets")),
    "other path below": (404, request("/v1/socket/")),
    "no path at all": (404, request("/")),
    "foreign origin": (403, request(Origin="https://evil.example")),
    "null origin": (403, request(Origin="null")),
    "two origins": (400, request(Origin="http://127.0.0.1\r\nOrigin: http://127.0.0.1")),
}


@pytest.mark.parametrize(("status", "head"), REFUSALS.values(), ids=REFUSALS.keys())
def test_no_upgrade(server: ServerThread, status: int, head: bytes) -> None:
    with RawClient(server.port) as client:
        client.send(head)
        answered, headers, body = client.read_response()
        assert (answered, headers["connection"]) == (status, "close")
        assert body
        assert client.read_frame() == (-1, b"")


def test_the_own_origin_and_an_encoded_path_pass(server: ServerThread) -> None:
    with RawClient(server.port) as client:
        client.open(path="/v1/%73ocket", Origin="http://127.0.0.1")


def test_what_the_application_learns(server: ServerThread, acceptor: RecordingAcceptor) -> None:
    with RawClient(server.port) as client:
        client.open(path="/v1/socket?token=a%20b&x=1", Authorization="Bearer t", X_Twice="one\r\nX-Twice: two")
    handshake = acceptor.next().handshake
    while not handshake.query:
        handshake = acceptor.next().handshake
    assert (handshake.path, handshake.query) == ("/v1/socket", "token=a%20b&x=1")
    assert (handshake.host, handshake.origin, handshake.peer) == ("127.0.0.1", None, "127.0.0.1")
    assert handshake.headers.get("AUTHORIZATION") == "Bearer t"
    assert handshake.headers.get("x-twice") == "one"
    assert handshake.subprotocol is None


def test_frames_in_the_requests_segment_are_not_lost(server: ServerThread) -> None:
    with RawClient(server.port) as client:
        client.open(frame(TEXT, b"one"), frame(PING, b"p"), frame(TEXT, b"two")[:5])
        client.send(frame(TEXT, b"two")[5:])
        assert [client.read_frame() for _ in range(3)] == [(TEXT, b"one"), (PONG, b"p"), (TEXT, b"two")]


def test_one_byte_at_a_time(server: ServerThread) -> None:
    with RawClient(server.port) as client:
        for byte in request() + frame(TEXT, b"hello") + frame(PING):
            client.send(bytes([byte]))
        assert client.read_response()[0] == 101
        assert [client.read_frame(), client.read_frame()] == [(TEXT, b"hello"), (PONG, b"")]


def test_a_half_close_behind_the_request_still_gets_the_answer(server: ServerThread) -> None:
    with RawClient(server.port) as client:
        client.send(request(), frame(TEXT, b"hello"))
        client.socket.shutdown(1)
        assert client.read_response()[0] == 101
        assert client.read_frame() == (TEXT, b"hello")
        assert client.read_frame() == (-1, b"")


def test_the_token_of_a_request_is_in_no_log(server: ServerThread, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for path in ("/v1/socket?token=secret", "/other?token=secret"):
            with RawClient(server.port) as client:
                client.send(request(path))
                client.read_response()
    assert "secret" not in caplog.text


def test_refused_connections_are_forgotten(server: ServerThread) -> None:
    clients = [RawClient(server.port) for _ in range(20)]
    for client in clients:
        client.send(request("/nowhere"))
        assert client.read_response()[0] == 404
        assert client.read_frame() == (-1, b"")
        client.close()
    while server.connections:
        pass


# --- what an acceptor may do


def accepting(handshake: Handshake, connection: Connection) -> None:
    """Do as the path says."""
    match handshake.path:
        case "/refuse":
            raise Refused(503, "Come back later.\n")
        case "/crash":
            raise ValueError("a bug")
        case "/write":
            connection.write(text_frame(b"welcome"))
        case "/close":
            connection.write(text_frame(b"unauthorized"))
            connection.close(3500, "bad token")
        case "/refuse-late":
            connection.write(text_frame(b"welcome"))
            raise Refused(503, "too late")
        case "/abort":
            connection.abort()


@pytest.fixture(scope="module")
def scripted() -> Iterator[tuple[RecordingAcceptor, ServerThread]]:
    paths = ("/refuse", "/crash", "/write", "/close", "/refuse-late", "/abort")
    acceptor = RecordingAcceptor(paths=paths, on_accept=accepting)
    with server_thread(acceptor) as server:
        yield acceptor, server


def test_an_acceptor_refuses(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.send(request("/refuse"))
        status, _, body = client.read_response()
        assert (status, body) == (503, b"Come back later.\n")


def test_an_acceptor_that_fails_is_500(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.send(request("/crash"))
        assert client.read_response()[0] == 500


def test_an_acceptor_writes_at_once(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.open(frame(TEXT, b"hi"), path="/write")
        assert [client.read_frame(), client.read_frame()] == [(TEXT, b"welcome"), (TEXT, b"hi")]
    assert scripted[0].next().next_closed() == (1006, "")


def test_an_acceptor_closes_at_once(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.open(frame(TEXT, b"ignored"), path="/close")
        assert client.read_frame() == (TEXT, b"unauthorized")
        opcode, payload = client.read_frame()
        assert (opcode, payload) == (8, (3500).to_bytes(2, "big") + b"bad token")
        client.send(frame(8, payload))
        assert client.read_frame() == (-1, b"")
    recorder = scripted[0].next()
    assert recorder.next() == ("closed", 3500, "bad token")


def test_it_is_too_late_to_refuse_after_writing(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.open(path="/refuse-late")
        assert client.read_frame() == (TEXT, b"welcome")
        assert client.read_close()[0] == 1011


def test_an_acceptor_aborts(scripted: tuple[RecordingAcceptor, ServerThread]) -> None:
    with RawClient(scripted[1].port) as client:
        client.send(request("/abort"))
        assert client.read_frame() == (-1, b"")
    assert scripted[0].next().next_closed() == (1006, "")
