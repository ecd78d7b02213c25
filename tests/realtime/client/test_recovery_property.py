"""Whatever breaks and whenever, a client sees each logged event exactly once, in order, and each keyed send once."""

import asyncio
import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from realtime.client import Client, Room, Skip
from tests.realtime.client.scripted import Peer, ScriptedServer, message

STEPS = st.lists(
    st.sampled_from(["publish", "hide", "abort", "close", "move", "send", "turn"]), min_size=1, max_size=25
)


class Log:
    """A room of one log, which recovers as docs/protocol.md says, and loses connections when it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.by_key: dict[str, int] = {}
        self.subscribed: Peer | None = None
        self.peer: Peer | None = None

    def append(self, text: str, *, hidden: bool = False) -> dict[str, Any]:
        pos = len(self.events) + 1
        skipped = {"type": "room.skip", "room": "r1", "from": pos, "to": pos}
        self.events.append(skipped if hidden else message(pos, text))
        return self.events[-1]

    async def publish(self, text: str, *, hidden: bool = False) -> None:
        event = self.append(text, hidden=hidden)
        if self.subscribed is not None:
            with contextlib.suppress(ConnectionClosed):  # then it is recovered
                await self.subscribed.send(**event)

    async def serve(self, server: ScriptedServer) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self.peer = await server.accept()
                group.create_task(self._serve(self.peer))

    async def _serve(self, peer: Peer) -> None:
        with contextlib.suppress(ConnectionClosed):  # the steps break connections on purpose
            while True:
                await self._answer(peer, await peer.receive())

    async def _answer(self, peer: Peer, command: dict[str, Any]) -> None:
        match command["type"]:
            case "room.join":
                start = command["since"]["pos"] if "since" in command else len(self.events)
                self.subscribed = peer
                await peer.joined(command, len(self.events), *self.events[start:])
            case "message.send":
                known = self.by_key.get(command["key"])
                if known is None:
                    self.by_key[command["key"]] = len(self.events) + 1
                    await self.publish(command["text"])
                await peer.ok(command, pos=self.by_key[command["key"]], at=1)
            case _:
                await peer.ok(command)


async def play(log: Log, room: Room, steps: list[str]) -> list[asyncio.Task[Any]]:
    sends = []
    for number, step in enumerate(steps):
        assert log.peer is not None
        match step:
            case "publish" | "hide":
                await log.publish(f"published {number}", hidden=step == "hide")
            case "abort":
                log.peer.abort()
            case "close":
                await log.peer.close(3008)
            case "move":
                with contextlib.suppress(ConnectionClosed):
                    await log.peer.send(type="reconnect", within_ms=0)
            case "send":
                sends.append(asyncio.create_task(room.send(f"sent {number}")))
            case "turn":
                for _ in range(30):  # the loop runs on, so the two sides get to some other state
                    await asyncio.sleep(0)
        await asyncio.sleep(0)
    return sends


async def seen_until(room: Room, last: int) -> list[int | None]:
    seen: list[int | None] = []
    while room.position is None or room.position.pos < last:
        event = await anext(room.events())
        seen.extend(range(event.first, event.last + 1) if isinstance(event, Skip) else [event.pos])
    return seen


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, queue=st.sampled_from([1, 3, 100]))
async def test_each_event_is_seen_once_and_in_order(steps: list[str], queue: int) -> None:
    log = Log()
    async with ScriptedServer() as server:
        serving = asyncio.create_task(log.serve(server))
        async with Client(server.url, token="t", backoff_base=0, queue=queue) as me, me.room("r1") as room:
            sends = await play(log, room, steps)
            replies = await asyncio.gather(*sends)
            assert await seen_until(room, len(log.events)) == list(range(1, len(log.events) + 1))
        serving.cancel()
        await asyncio.wait({serving})
    sent = [event for event in log.events if event["type"] == "message.created" and "sent" in event["message"]["text"]]
    assert sorted(reply.pos for reply in replies) == [event["pos"] for event in sent]
    assert len(sent) == steps.count("send")
