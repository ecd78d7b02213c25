"""A server whose every word the test chooses: static files of the web client, and WebSockets that the test answers."""

import json
import mimetypes
import queue
import threading
import time
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

WEB = Path(__file__).parents[2] / "realtime" / "web"
PATIENCE = 10.0
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "media-src 'self' blob:"
)
PAGES = {"room": "room.html", "studio": "studio.html"}
STYLES = (
    "base",
    "controls",
    "dialogs",
    "pages",
    "panels",
    "layout",
    "timeline",
    "composer",
    "player",
    "watch",
    "replay",
    "studio",
    "recordings",
)
BLANK = (
    "<!doctype html><html lang=en><title>blank</title><link rel=icon href='data:,'>"
    + "".join(f"<link rel=stylesheet href=/web/css/{name}.css>" for name in STYLES)
    + "<div id=root></div><div id=toasts></div><div id=announcer></div>"
)


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: ServerConnection):
        self._connection = connection
        self.done = threading.Event()

    def send(self, *objects: dict[str, Any]) -> None:
        for one in objects:
            self._connection.send(json.dumps(one))

    def receive(self) -> dict[str, Any]:
        """The next command. Raises TimeoutError, ConnectionClosed."""
        command: dict[str, Any] = json.loads(self._connection.recv(timeout=PATIENCE))
        return command

    def expect(self, kind: str) -> dict[str, Any]:
        command = self.receive()
        assert command["type"] == kind, command
        return command

    def ok(self, command: dict[str, Any], **fields: Any) -> None:
        self.send({"type": "ok", "id": command["id"], **fields})

    def refuse(self, command: dict[str, Any], code: str, **fields: Any) -> None:
        self.send({"type": "error", "id": command["id"], "code": code, "message": code, "retry": False, **fields})

    def welcome(self, user: str = "ann") -> dict[str, Any]:
        """Answers `hello`, and returns it."""
        hello = self.expect("hello")
        self.send(
            {
                "type": "welcome",
                "id": hello["id"],
                "session": "s",
                "user": {"id": user, "name": user.title(), "roles": []},
                "server_time": round(time.time() * 1_000),
                "limits": {},
                "heartbeat_ms": 25_000,
            }
        )
        return hello

    def admit(self, pos: int = 0, epoch: str = "e1", *, recovered: bool = False, events: object = ()) -> dict[str, Any]:
        """Answers `room.join`, and returns it."""
        join = self.expect("room.join")
        self.ok(
            join,
            room={"id": join["room"], "kind": "group", "title": "Room", "settings": {}, "counts": {}},
            you={"role": "member", "read_pos": 0},
            epoch=epoch,
            pos=pos,
            first_pos=1,
            recovered=recovered,
            events=list(events),  # type: ignore[call-overload]  # any iterable of events
        )
        return join

    @property
    def path(self) -> str:
        assert self._connection.request is not None
        return self._connection.request.path

    def send_bytes(self, data: bytes) -> None:
        self._connection.send(data)

    def close(self, code: int) -> None:
        self._connection.close(code)
        self.done.set()

    def closed(self) -> bool:
        """Whether the client closes; what it still sends is dropped."""
        try:
            while True:
                self._connection.recv(timeout=PATIENCE)
        except ConnectionClosed:
            return True
        finally:
            self.done.set()


class ScriptedServer:
    """`with ScriptedServer() as server`: the client's connections come out of `accept`, in order."""

    def __init__(self) -> None:
        self._peers: queue.Queue[Peer] = queue.Queue()
        self._all: list[Peer] = []
        self._turn = 0
        self._server = serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._file,
            subprotocols=[Subprotocol("galaxy.v1.json")],
            select_subprotocol=lambda _, offered: offered[0] if offered else None,  # media sockets offer none
            compression=None,
            close_timeout=1,
        )
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def forget(self) -> None:
        """Ends the connections of an earlier test. One that is still on its way is told by its page's cookie."""
        self._turn += 1
        for peer in self._all:
            peer.done.set()
        self._all.clear()
        while not self._peers.empty():
            self._peers.get_nowait()

    def accept(self) -> Peer:
        return self._peers.get(timeout=PATIENCE)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        self._server.shutdown()
        self._thread.join()

    def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if connection.request.headers.get("Cookie") != f"turn={self._turn}":
            return
        peer = Peer(connection)
        self._all.append(peer)
        self._peers.put(peer)
        peer.done.wait()

    def _file(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path in {"/v1/socket", "/v1/rooms/r1/stream"}:
            return None
        if path == "/blank":
            response = _response(BLANK.encode(), "text/html; charset=utf-8")
            response.headers["Set-Cookie"] = f"turn={self._turn}; Path=/"
            return response
        if path.startswith("/v1/"):
            return _response(b"", "text/plain", HTTPStatus.NOT_FOUND)
        page = PAGES.get(path.split("/")[1], "index.html")
        file = WEB / (path.removeprefix("/web/") if path.startswith("/web/") else page)
        if not file.is_file():
            return _response(b"", "text/plain", HTTPStatus.NOT_FOUND)
        return _response(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream")


def _response(body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = Headers()
    headers["Content-Type"] = kind
    headers["Content-Length"] = str(len(body))
    headers["Content-Security-Policy"] = POLICY
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)
