"""`python websockets_server.py PORT text|binary`: rooms as sets of connections (see relay_peer.py)."""

import sys
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

rooms: dict[str, set[ServerConnection]] = defaultdict(set)


async def main(port: int, text: bool) -> None:
    async def listen(connection: ServerConnection) -> None:
        mine: list[str] = []
        try:
            async for message in connection:
                if isinstance(message, str):
                    mine += message.split()
                    for room in mine:
                        rooms[room].add(connection)
                    await connection.send("ok")
                else:
                    name, _, event = message.partition(b"\n")
                    broadcast(rooms[name.decode()], event, text=text)
        finally:
            for room in mine:
                rooms[room].discard(connection)

    async with serve(
        listen, "127.0.0.1", port, compression=None, ping_interval=None, open_timeout=None, backlog=4096
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2] == "text"))
