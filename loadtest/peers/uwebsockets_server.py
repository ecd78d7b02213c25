"""`python uwebsockets_server.py PORT text|binary`: rooms as uWebSockets' topics (see relay_peer.py)."""

import sys

from socketify import App, OpCode  # type: ignore[import-not-found]  # installed by the bench, in an environment of its own

PORT = int(sys.argv[1])
FORM = OpCode.TEXT if sys.argv[2] == "text" else OpCode.BINARY

app = App()
waiting: list[bytes] = []


def publish() -> None:
    """Of messages that one connection has sent at once, uWebSockets joins 32 to a `send()` of each subscriber: but not
    within that connection's handler, during which its own buffer is in use. So they are published after it.
    """
    for message in waiting:
        room, _, event = message.partition(b"\n")
        app.publish(room, event, FORM)
    waiting.clear()


def message(ws, message, opcode):  # type: ignore[no-untyped-def]  # socketify has no types
    if opcode == OpCode.TEXT:
        for room in message.split():
            ws.subscribe(room)
        ws.send("ok", OpCode.TEXT)
    else:
        if not waiting:
            app.loop.loop.call_soon(publish)
        waiting.append(message)


app.ws(
    "/*",
    {
        "compression": 0,
        "idle_timeout": 0,
        "max_payload_length": 1 << 20,
        # What a subscriber may be behind before uWebSockets leaves messages out: none may be left out here.
        "max_backpressure": 1 << 30,
        "message": message,
    },
)
app.listen({"port": PORT, "host": "127.0.0.1"}, lambda config: None)
app.run()
