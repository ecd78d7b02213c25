"""The server's side of an RTMP connection that publishes (specification 7.2), without I/O.

`receive` takes bytes, `next_event` gives what came of them, `take_output` what is to be sent. A publisher is first a
`Publish`, to be answered by `accept` or `refuse`; then come `Media`; at last an `Unpublish`, where it says goodbye.
"""

from msgspec import Struct

from relay.rtmp.amf0 import Value, decode
from relay.rtmp.chunks import AUDIO, COMMAND, COMMAND_AMF3, VIDEO, Message
from relay.rtmp.errors import Violation
from relay.rtmp.link import HANDSHAKE, Link

BEFORE_PUBLISH = 64 * 1024 + 2 * HANDSHAKE
"""Bytes that a peer may send before it is let in."""
SEND_CHUNK = 65_536
"""Bytes: ffmpeg takes it over for what it sends, and has fewer chunks then."""
STREAM = 1
"""The one message stream of a connection."""

_CODECS = ["avc1", "mp4a"]
MOST_COMMAND = 16_384
"""Bytes: encoders' longest, `connect`, has some hundreds."""


class Publish(Struct, frozen=True):
    """`app` and `name` as the address has them (rtmp://host/app/name), without queries."""

    app: str
    name: str


class Media(Struct, frozen=True, gc=False):
    """The body of an FLV audio or video tag; `timestamp` in milliseconds modulo 2**32."""

    video: bool
    timestamp: int
    data: bytes


class Unpublish(Struct, frozen=True):
    """The publisher has said that it ends."""


Event = Publish | Media | Unpublish


class ServerSession:
    def __init__(self, nonce: bytes):
        self._link = Link("server", nonce)
        self._app: str | None = None
        self._publishing = False
        self._accepted = False

    @property
    def received(self) -> int:
        """Bytes since it began."""
        return self._link.received

    @property
    def weight(self) -> int:
        """See ChunkReader.weight."""
        return self._link.weight

    def receive(self, data: bytes) -> None:
        """Raises Violation."""
        self._link.receive(data)
        if not self._accepted and self._link.received > BEFORE_PUBLISH:
            raise Violation(f"more than {BEFORE_PUBLISH} bytes before publishing")

    def take_output(self) -> bytes:
        return self._link.take_output()

    def next_event(self) -> Event | None:
        """None where more bytes are needed. Raises Violation, after which the session is over."""
        while (message := self._link.next_message()) is not None:
            event = self._event(message)
            if event is not None:
                return event
        return None

    def accept(self) -> None:
        """The publisher is let in."""
        self._accepted = True
        self._link.begin_stream(STREAM)
        self._status("status", "NetStream.Publish.Start", "Publishing.")

    def refuse(self, code: str, description: str) -> None:
        """Says why the publisher is not let in, or no longer: `NetStream.Publish.Denied`, `NetStream.Publish.Rejected`.
        The connection is to be closed then.
        """
        if self._link.open:
            self._status("error", code, description)

    def _status(self, level: str, code: str, description: str) -> None:
        info: dict[str, Value] = {"level": level, "code": code, "description": description}
        self._link.command("onStatus", 0.0, None, info, stream=STREAM)

    def _event(self, message: Message) -> Event | None:
        match message.kind:
            case k if k in (AUDIO, VIDEO):
                return Media(k == VIDEO, message.timestamp, message.data) if self._accepted else None
            case k if k in (COMMAND, COMMAND_AMF3):
                if len(message.data) > MOST_COMMAND:
                    raise Violation(f"a command longer than {MOST_COMMAND} bytes")
                # In AMF3's message the values are AMF0's after a byte of format.
                return self._command(decode(message.data[k == COMMAND_AMF3 :]))
            case _:
                return None

    def _command(self, values: list[Value]) -> Event | None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        if not isinstance(name, str) or not isinstance(transaction, float):
            raise Violation("a command without name or transaction")
        match name:
            case "connect":
                self._connect(transaction, values[2] if len(values) > 2 else None)
            case "createStream":
                self._link.command("_result", transaction, None, float(STREAM))
            case "releaseStream" | "FCPublish":
                self._link.command("_result", transaction, None)
            case "publish":
                return self._publish(values[3] if len(values) > 3 else None)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                return Unpublish() if self._publishing else None
            case _:
                pass
        return None

    def _connect(self, transaction: float, arguments: Value) -> None:
        app = arguments.get("app") if isinstance(arguments, dict) else None
        if not isinstance(app, str) or self._app is not None:
            raise Violation("connect: without app, or a second one")
        self._app = app.partition("?")[0].strip("/")
        self._link.announce_window()
        self._link.set_chunk_size(SEND_CHUNK)
        server: dict[str, Value] = {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31.0, "fourCcList": _CODECS}
        info: dict[str, Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0.0,
        }
        self._link.command("_result", transaction, server, info)

    def _publish(self, name: Value) -> Event:
        if self._app is None or self._publishing or not isinstance(name, str):
            raise Violation("publish: before connect, a second time, or without a name")
        self._publishing = True
        return Publish(self._app, name.partition("?")[0])
