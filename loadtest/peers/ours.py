"""galaxy-live itself, the whole product: tokens, the default content policy, the durable log."""

import json
import os
from collections.abc import Sequence
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from loadtest.peers.peer import HOST, PUBLISHER, ROOM_NAME, Codec, Failed, Message, Peer, upgrade_request
from loadtest.server import Server
from loadtest.wire import BINARY, TEXT, frame_at, masked

KEEPALIVE_OFF = {"GALAXY_LIMITS__HEARTBEAT_MS": "3600000"}
"""The others do not ping either, and a ping among the counted bytes would have to be told from them."""


class Seen(msgspec.Struct):
    """What is looked at in an object from the server."""

    type: str
    id: int | None = None
    room: Any = None
    pos: int | None = None
    message: Any = None


class Ours(Peer):
    """The publisher owns the room and listens to nothing; subscribers are other users, who only listen."""

    title = "galaxy-live"
    quiet = 2.0  # rooms are told once a second who has come

    def __init__(self, codec: Codec):
        super().__init__(codec)
        self._server: Server | None = None
        form = msgspec.json if codec.text else msgspec.msgpack
        self._encode = form.encode
        self._decode = form.Decoder(Seen).decode
        self._answers = b""

    def version(self, folder: Path) -> str:
        return version("galaxy-live")

    @property
    def server(self) -> Server:
        if self._server is None:
            raise Failed(f"{self.title} has not been started")
        return self._server

    @property
    def pid(self) -> int:
        return self.server.pid

    def start(self, installed: Path, scratch: Path) -> None:
        os.environ.update(KEEPALIVE_OFF)
        self._server = Server(scratch / "data")
        try:
            self._server.__enter__()
        except RuntimeError as error:
            raise Failed(f"{self.title}: {error}") from error
        self.port = self._server.port

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server = None

    def create(self, count: int) -> list[str]:
        connection = HTTPConnection(HOST, self.port)
        headers = {"Authorization": f"Bearer {self._token(PUBLISHER)}", "Content-Type": "application/json"}
        command = {"type": "room.create", "id": 1, "kind": "group", "visibility": "public", "title": "Bench"}
        rooms = []
        for _ in range(count):
            connection.request("POST", "/v1/commands", json.dumps(command), headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise Failed(f"{self.title} created no room: {said.decode()}")
            rooms.append(json.loads(said)["room"]["id"])
        connection.close()
        if any(len(room) != ROOM_NAME for room in rooms):
            raise Failed(f"{self.title}'s room ids are not {ROOM_NAME} characters long: {rooms[0]}")
        return rooms

    def upgrade(self, name: str) -> bytes:
        protocol = f"Sec-WebSocket-Protocol: galaxy.v1.{self.codec.name}"
        return upgrade_request(self.port, "/v1/socket", protocol, f"Authorization: Bearer {self._token(name)}")

    def subscribe(self, rooms: Sequence[str]) -> bytes:
        return b"".join(self._command({"type": "room.join", "id": i, "room": room}) for i, room in enumerate(rooms, 1))

    def subscribed(self, data: bytes, rooms: int) -> bool:
        welcomed, joined, at = False, 0, 0
        while (found := frame_at(data, at)) is not None:
            _, begin, at = found
            seen = self._decode(data[begin:at])
            if seen.type == "error":
                raise Failed(f"{self.title} refused: {data[begin:at]!r}")
            welcomed |= seen.type == "welcome"
            joined += seen.type == "ok"
        return welcomed and joined == rooms

    def publish(self, message: Message) -> bytes:
        return self._command({"type": "message.send", "id": 1, "room": message.room, "text": message.text})

    def answered(self, data: bytes) -> None:
        data = self._answers + data
        at = 0
        while (found := frame_at(data, at)) is not None:
            _, begin, at = found
            if self._decode(data[begin:at]).type == "error":
                raise Failed(f"{self.title} refused: {data[begin:at]!r}")
        self._answers = data[at:]

    def recognise(self, payload: bytes, message: Message) -> bool:
        seen = self._decode(payload)
        if seen.type != "message.created":
            return False
        if seen.room != message.room or seen.message["text"] != message.text:
            raise Failed(f"{self.title} delivered {payload[:200]!r} where {message.event[:200]!r} was due")
        return True

    def _command(self, command: dict[str, Any]) -> bytes:
        return masked(self._encode(command), TEXT if self.codec.text else BINARY)

    def _token(self, name: str) -> str:
        return self.server.token(name, name)
