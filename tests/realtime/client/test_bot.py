"""The bot of the package's docstring (and README) runs as it is written there."""

import asyncio
import textwrap
from typing import Any

import realtime.client
from tests.realtime.client.scripted import ScriptedServer, message


def bot_source() -> str:
    assert realtime.client.__doc__ is not None
    return textwrap.dedent(realtime.client.__doc__.split("```python\n")[1].split("```")[0])


def test_it_has_ten_lines() -> None:
    assert len(bot_source().strip().splitlines()) <= 10


async def test_it_answers_a_ping(server: ScriptedServer) -> None:
    names: dict[str, Any] = {}
    definition = bot_source().split("asyncio.run(")[0]  # this test has its own loop, address and token
    exec(definition, names)  # noqa: S102 - the documented example itself
    bot = asyncio.create_task(names["main"](server.url, "t"))
    peer = await server.accept()
    assert peer.authorization == "Bearer t"
    await peer.join(0, room={"id": "g.lobby", "kind": "group", "title": "Lobby", "settings": {}})
    await peer.send(**{**message(1, "hello"), "room": "g.lobby"})
    await peer.send(**{**message(2, "!ping"), "room": "g.lobby"})
    command = await peer.expect("message.send")
    assert (command["room"], command["text"], command["reply_to"]) == ("g.lobby", "pong", 2)
    await peer.ok(command, pos=3, at=1)
    bot.cancel()
    await peer.ok(await peer.expect("room.leave"))
    await asyncio.wait({bot})
    assert bot.cancelled()
