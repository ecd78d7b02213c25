"""What the bench asks of a server, ours or another's."""

import base64
import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from loadtest.wire import frame_at

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds that a server may take to listen."""


ROOM_NAME = 22
"""Characters."""


class Failed(Exception):
    """A server cannot be installed or started, ended, or did not deliver what it was to deliver."""


class Message(Struct, frozen=True):
    """One message of the bench: `event` is what subscribers of the room receive, already encoded."""

    room: str
    text: str
    event: bytes


class Codec(Struct, frozen=True):
    """`name` is `json` (WebSocket text messages) or `msgpack` (binary ones)."""

    name: str

    @property
    def text(self) -> bool:
        return self.name == "json"


class Peer(ABC):
    """A server, and how one speaks to it. Nothing here runs while measuring but `publish`'s result and `answered`."""

    title: str
    """Its name in tables."""
    same_bytes = True
    """Whether all subscribers of a room receive the same bytes. If not, WebSocket headers are looked at one by one."""
    quiet = 0.1
    """Seconds of silence after which nothing more is said to who has just come."""
    topics = True
    """Whether it can have more than one room."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise Failed(f"{self.title} has not been started")
        return self.process.pid

    @classmethod
    def install(cls, folder: Path) -> None:
        """Puts into `folder` what is missing of the server. Raises Failed, naming what cannot be had."""
        return

    @abstractmethod
    def version(self, folder: Path) -> str:
        """The server's own version. `folder` is where it was installed."""

    @abstractmethod
    def start(self, installed: Path, scratch: Path) -> None:
        """Starts the server, with its data in `scratch`; returns once it listens. Raises Failed."""

    def stop(self) -> None:
        if self.process is not None:
            with self.process as process:
                process.kill()
            self.process = None

    def create(self, count: int) -> list[str]:
        """Makes so many rooms and returns their names, which are as long as those of ours."""
        return [f"{i:0{ROOM_NAME}}" for i in range(count)]

    @abstractmethod
    def upgrade(self, name: str) -> bytes:
        """The HTTP request that opens a WebSocket for a user; `PUBLISHER` is the one who publishes."""

    @abstractmethod
    def subscribe(self, rooms: Sequence[str]) -> bytes:
        """What a client sends after the upgrade to receive these rooms, or none."""

    @abstractmethod
    def subscribed(self, data: bytes, rooms: int) -> bool:
        """Whether what came since the upgrade says that so many rooms are subscribed. Raises Failed."""

    @abstractmethod
    def publish(self, message: Message) -> bytes:
        """The bytes that have one message published."""

    def answered(self, data: bytes) -> None:
        """Takes what the server said to the publisher. Raises Failed for a refusal."""
        return

    def unwrapped(self, stream: bytes) -> bytes:
        """What `next_message` takes, of all that a subscriber received."""
        return stream

    def ending(self, message: Message) -> bytes:
        """The last bytes of what a subscriber receives of a message: not to be found within it."""
        return message.event[-2:]

    def next_message(self, stream: bytes, at: int) -> tuple[int, int, int] | None:
        """Where in what a subscriber received the next object begins, where it ends, and where the next may begin;
        None where it is not all there. `stream` is the bytes as they came, or, unless `same_bytes`, their payloads.
        """
        found = frame_at(stream, at)
        return None if found is None else (found[1], found[2], found[2])

    def recognise(self, payload: bytes, message: Message) -> bool:
        """Whether an object is the message that is due; False where it is no message at all, but something else that
        the server says to all of a room. Raises Failed for any other message.
        """
        if payload != message.event:
            raise Failed(f"{self.title} delivered {payload[:200]!r} where {message.event[:200]!r} was due")
        return True


PUBLISHER = "publisher"


def upgrade_request(port: int, path: str, *headers: str) -> bytes:
    """RFC 6455 section 4.1."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def payloads(data: bytes) -> tuple[bytes, bytes]:
    """The payloads of all whole frames, joined, and what is left."""
    found = []
    at = 0
    while (frame := frame_at(data, at)) is not None:
        _, begin, at = frame
        found.append(data[begin:at])
    return b"".join(found), data[at:]


def launch(title: str, command: Sequence[str], port: int, scratch: Path) -> subprocess.Popen[bytes]:
    """Starts a server; returns once something listens on the port. Raises Failed with what it wrote on stderr."""
    said = scratch / "stderr"
    try:
        with said.open("wb") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)  # noqa: S603 - servers of the bench
    except OSError as error:
        raise Failed(f"{title} cannot be started: {error}") from error
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            text = said.read_text(errors="replace").strip()
            raise Failed(f"{title} ended with {process.returncode}: {text[-2_000:]}")
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process
    with process:
        process.kill()
    raise Failed(f"{title} did not listen on port {port} within {PATIENCE:.0f} s")


def run(title: str, command: Sequence[str]) -> str:
    """A command's standard output. Raises Failed with what it wrote."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed commands of the bench
    except OSError as error:
        raise Failed(f"{title}: {command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise Failed(f"{title}: {' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2_000:]}")
    return done.stdout
