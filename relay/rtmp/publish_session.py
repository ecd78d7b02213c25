"""The publishing client's side of an RTMP connection (specification 7.2), without I/O.

`receive` takes bytes, `take_output` gives what is to be sent. Media may be sent once `publishing` is true.
"""

from relay.rtmp.amf0 import EcmaArray, Value, decode, encode
from relay.rtmp.chunks import AUDIO, COMMAND, DATA, VIDEO, Message
from relay.rtmp.errors import Violation
from relay.rtmp.link import Link

SEND_CHUNK = 4_096
"""Bytes: what OBS sends, so every platform takes it."""

_CONNECT, _RELEASE, _ANNOUNCE, _CREATE, _PUBLISH = 1.0, 2.0, 3.0, 4.0, 5.0
_AUDIO_STREAM, _VIDEO_STREAM = 4, 6


class Rejected(Exception):
    """The server does not let us publish, or no longer; the text is its own."""


class PublishSession:
    """`address` is rtmp://host/app (tcUrl); `name` the stream's, usually a secret key."""

    def __init__(self, nonce: bytes, address: str, app: str, name: str):
        self._link = Link("client", nonce)
        self._address, self._app, self._name = address, app, name
        self._connecting = False
        self._stream = 0
        self.publishing = False

    def receive(self, data: bytes) -> None:
        """Raises Violation, and Rejected."""
        self._link.receive(data)
        if self._link.open and not self._connecting:
            self._connect()
        while (message := self._link.next_message()) is not None:
            if message.kind == COMMAND:
                self._answer(decode(message.data))

    def take_output(self) -> bytes:
        return self._link.take_output()

    def media(self, video: bool, timestamp: int, data: bytes) -> None:
        """The body of an FLV tag; `timestamp` in milliseconds, which wraps at 2**32."""
        kind, chunk_stream = (VIDEO, _VIDEO_STREAM) if video else (AUDIO, _AUDIO_STREAM)
        self._link.send(Message(kind, self._stream, timestamp, data), chunk_stream)

    def metadata(self, told: EcmaArray) -> None:
        self._link.send(Message(DATA, self._stream, 0, encode("@setDataFrame", "onMetaData", told)), _AUDIO_STREAM)

    def unpublish(self) -> None:
        self._link.command("FCUnpublish", 6.0, None, self._name)
        self._link.command("deleteStream", 7.0, None, float(self._stream))

    def _connect(self) -> None:
        self._connecting = True
        self._link.set_chunk_size(SEND_CHUNK)
        told: dict[str, Value] = {
            "app": self._app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; galaxy-live)",
            "tcUrl": self._address,
        }
        self._link.command("connect", _CONNECT, told)

    def _answer(self, values: list[Value]) -> None:
        name, transaction, *rest = (*values, None, None)[: max(2, len(values))]
        if name == "_result" and transaction == _CONNECT:
            self._link.command("releaseStream", _RELEASE, None, self._name)
            self._link.command("FCPublish", _ANNOUNCE, None, self._name)
            self._link.command("createStream", _CREATE, None)
        elif name == "_result" and transaction == _CREATE:
            stream = rest[1] if len(rest) > 1 else None
            if not isinstance(stream, float) or not 0 <= stream < 2**32:
                raise Violation("createStream was answered without a stream")
            self._stream = int(stream)
            self._link.command("publish", _PUBLISH, None, self._name, "live", stream=self._stream)
        elif name == "_error" and transaction in (_CONNECT, _CREATE, _PUBLISH):
            raise Rejected(_text(rest))
        elif name == "onStatus":
            info = next((value for value in rest if isinstance(value, dict)), {})
            if info.get("level") == "error":
                raise Rejected(_text(rest))
            self.publishing |= info.get("code") == "NetStream.Publish.Start"
        elif name == "close":
            raise Rejected("the server closed the stream")


def _text(values: list[Value]) -> str:
    for value in values:
        if isinstance(value, dict):
            for key in ("description", "code"):
                text = value.get(key)
                if isinstance(text, str) and text:
                    return text
    return "the server gave no reason"
