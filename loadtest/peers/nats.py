"""nats-server's WebSocket, as Debian packages it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from loadtest.peers.peer import HOST, Failed, Message, Peer, launch, payloads, run, upgrade_request
from loadtest.ports import free_port
from loadtest.wire import BINARY, masked

CONFIG = """\
host: "{host}"
port: {client_port}
websocket {{ host: "{host}", port: {port}, no_tls: true }}
# No keep-alive, and no end to what a subscriber may be behind: the same for all servers of the bench.
ping_interval: "1h"
write_deadline: "10m"
max_pending: 4GB
"""
CONNECT = json.dumps({"verbose": False, "pedantic": False, "echo": False}).encode()


class Nats(Peer):
    """Core NATS without JetStream. A room is a subject.

    Its WebSocket frames hold whatever one flush has gathered, which differs from subscriber to subscriber.
    """

    title = "nats-server"
    same_bytes = False
    quiet = 2.5  # it pings a new client after 2 s

    @classmethod
    def install(cls, folder: Path) -> None:
        if shutil.which("nats-server") is None:
            raise Failed(f"{cls.title}: Debian's package nats-server is missing (apt-get install nats-server)")

    def version(self, folder: Path) -> str:
        return run(self.title, ["nats-server", "--version"]).strip().removeprefix("nats-server: v")

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        config = scratch / "nats.conf"
        config.write_text(CONFIG.format(host=HOST, port=self.port, client_port=free_port()))
        self.process = launch(self.title, ["nats-server", "--config", str(config)], self.port, scratch)

    def upgrade(self, name: str) -> bytes:
        return upgrade_request(self.port, "/")

    def subscribe(self, rooms: Sequence[str]) -> bytes:
        subscriptions = b"".join(b"SUB %s %d\r\n" % (room.encode(), i) for i, room in enumerate(rooms, 1))
        return masked(b"CONNECT " + CONNECT + b"\r\n" + subscriptions + b"PING\r\n", BINARY)

    def subscribed(self, data: bytes, rooms: int) -> bool:
        if b"-ERR" in data:
            raise Failed(f"{self.title} refused: {data.partition(b'-ERR')[2][:200]!r}")
        return data.endswith(b"PONG\r\n")

    def publish(self, message: Message) -> bytes:
        return masked(b"PUB %s %d\r\n%s\r\n" % (message.room.encode(), len(message.event), message.event), BINARY)

    def answered(self, data: bytes) -> None:
        if b"-ERR" in data:
            raise Failed(f"{self.title} refused: {data!r}")

    def unwrapped(self, stream: bytes) -> bytes:
        return payloads(stream)[0]

    def ending(self, message: Message) -> bytes:
        return b"\r\n"

    def next_message(self, stream: bytes, at: int) -> tuple[int, int, int] | None:
        """`MSG SUBJECT SID SIZE`, CRLF, the payload, CRLF."""
        if (line := stream.find(b"\r\n", at)) < 0:
            return None
        head = stream[at:line].split()
        if len(head) != 4 or head[0] != b"MSG":
            raise Failed(f"{self.title} said {bytes(stream[at:line])!r} where a message was due")
        begin = line + 2
        end = begin + int(head[3])
        return None if len(stream) < end + 2 else (begin, end, end + 2)
