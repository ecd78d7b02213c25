"""`python lying_server.py PORT text|binary LIE EVERY`: the `websockets` peer, but one subscriber is lied to in every so
many messages: `drop`, `double`, `swap` (two messages change places) or `alter` (one byte).
"""

import asyncio
import sys
from collections import defaultdict

from websockets.asyncio.server import ServerConnection, serve

rooms: dict[str, list[ServerConnection]] = defaultdict(list)


class Lie:
    """What the lied-to receives instead of each message."""

    def __init__(self, kind: str, every: int):
        self._kind = kind
        self._every = every
        self._count = 0
        self._kept: bytes | None = None

    def instead(self, event: bytes) -> list[bytes]:
        self._count += 1
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return [event, kept]
        if self._count % self._every:
            return [event]
        match self._kind:
            case "drop":
                return []
            case "double":
                return [event, event]
            case "swap":
                self._kept = event
                return []
            case "alter":
                return [event[:-40] + b"#" + event[-39:]]
            case other:
                raise ValueError(other)


async def main(port: int, text: bool, lie: Lie) -> None:
    async def listen(connection: ServerConnection) -> None:
        async for message in connection:
            if isinstance(message, str):
                for room in message.split():
                    rooms[room].append(connection)
                await connection.send("ok")
                continue
            name, _, event = message.partition(b"\n")
            *others, last = rooms[name.decode()]
            for other in others:
                await other.send(event, text=text)
            for said in lie.instead(event):
                await last.send(said, text=text)

    async with serve(listen, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "text", Lie(sys.argv[3], int(sys.argv[4]))))
