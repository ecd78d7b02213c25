"""Fuzz the server's side of RTMP: `python -m tests.fuzz.rtmp --seconds 60`, guided by coverage.

An input is read as a script: commands, media and raw bytes in chunks of any form, spoilt here and there. A session must
end in events or a Violation, say the same however the bytes are cut, and hold no more than its bound.
"""

from relay.rtmp import amf0, chunks, link, server_session, tags
from relay.rtmp.amf0 import Value, encode
from relay.rtmp.chunks import AUDIO, COMMAND, VIDEO, Message
from relay.rtmp.errors import Violation
from relay.rtmp.link import HANDSHAKE, NONCE
from relay.rtmp.server_session import Event, Media, Publish, ServerSession
from relay.rtmp.tags import TagReader
from tests.fuzz.frames import Script
from tests.fuzz.guided import run
from tests.relay.rtmp.writing import AnyWriter

_COMMANDS: tuple[tuple[Value, ...], ...] = (
    ("connect", 1.0, {"app": "live", "tcUrl": "rtmp://h/live"}),
    ("createStream", 2.0, None),
    ("publish", 3.0, None, "key?x", "live"),
    ("FCUnpublish", 4.0, None, "key"),
    ("deleteStream", 5.0, None, 1.0),
    ("play", 6.0, None, [{"a": [None, True]}]),
)
_KINDS = (0, 1, 2, 3, 4, 5, 6, AUDIO, VIDEO, 15, 17, 18, COMMAND, 22)


def written(script: Script) -> bytes:
    writer = AnyWriter(script.number)
    out = bytearray(b"\3" + bytes(2 * HANDSHAKE))
    for command in _COMMANDS[:3] if script.number(4) else ():
        out += b"".join(writer.pieces(Message(COMMAND, 0, 0, encode(*command)), 3))
    while script and len(out) < 40_000:
        kind = _KINDS[script.number(len(_KINDS))]
        data = encode(*_COMMANDS[script.number(len(_COMMANDS))]) if kind == COMMAND else script.take(script.number(300))
        message = Message(kind, script.number(3), script.number(65_536) << 8 * script.number(3), data)
        pieces = bytearray(b"".join(writer.pieces(message, 2 + script.number(70))))
        if not script.number(6):
            pieces[script.number(len(pieces))] ^= 1 << script.number(8)
        out += pieces
    return bytes(out)


def serve(data: bytes, size: int) -> tuple[list[Event], str]:
    """What a session makes of the bytes, cut into pieces of a size."""
    session, units, events = ServerSession(bytes(NONCE)), TagReader(2_073_600), list[Event]()
    try:
        for at in range(0, len(data), size):
            session.receive(data[at : at + size])
            while (event := session.next_event()) is not None:
                events.append(event)
                if isinstance(event, Publish):
                    session.accept()
                elif isinstance(event, Media):
                    units.read(event.video, event.timestamp, event.data)
            assert len(session.take_output()) < 20 * (size + 200_000)
    except Violation as violation:
        return events, str(violation)
    return events, ""


def target(data: bytes) -> None:
    script = Script(data)
    size = 1 + script.number(4_000)
    sent = written(script)
    assert serve(sent, size) == serve(sent, len(sent))


if __name__ == "__main__":
    run(
        target,
        [
            (chunks.ChunkReader, "next_message"),
            (chunks.ChunkReader, "_next_chunk"),
            (link.Link, "next_message"),
            (server_session.ServerSession, "_command"),
            (amf0, "decode"),
            (tags.TagReader, "read"),
        ],
        __doc__,
    )
