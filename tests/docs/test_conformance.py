"""What a real server says, decoded by the strict types that docs/asyncapi.json and docs/protocol.md are held to."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime import app
from realtime.hosting.service import Service
from realtime.live.rooms import LiveRooms
from relay.ports import Claim, Recorded
from tests.docs import asyncapi, page, wire
from tests.support.server import NO_LIMITS, Running, serving, token


class Speaker:
    """A client that refuses every object which is not as described, and keeps what it saw."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._ids = itertools.count(1)
        self.asked: set[str] = set()
        self.events: list[dict[str, Any]] = []

    async def ask(self, kind: str, /, **fields: object) -> dict[str, Any]:
        """The `ok` reply, or `welcome`."""
        number = next(self._ids)
        await self._socket.send(json.dumps({"type": kind, "id": number} | fields))
        while True:
            said = await self._socket.recv()
            shown = json.loads(said)
            if shown.get("id") == number:
                msgspec.json.decode(said, type=wire.REPLIES[kind])
                self.asked.add(kind)
                return dict(shown)
            self._event(said)

    async def until(self, wanted: str, **fields: object) -> dict[str, Any]:
        """The first event of this type with these fields, already seen or still to come."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event["type"] == wanted and fields.items() <= event.items():
                    return event
            seen = len(self.events)
            self._event(await self._socket.recv())

    async def until_closed(self) -> int:
        try:
            while True:
                self._event(await self._socket.recv())
        except ConnectionClosed:
            return self._socket.close_code or 0

    def _event(self, said: str | bytes) -> None:
        shown = json.loads(said)
        kind = shown["type"]
        if kind in asyncapi.LOGGED:
            msgspec.json.decode(said, type=asyncapi.LOGGED[kind])
        else:
            msgspec.json.decode(said, type=asyncapi.EPHEMERAL[kind])
        self.events.append(shown)


@asynccontextmanager
async def speaker(server: Running, user: str, **claims: Any) -> AsyncIterator[Speaker]:
    async with connect(server.url.replace("http", "ws") + "/v1/socket") as socket:
        speaking = Speaker(socket)
        await speaking.ask("hello", token=token(user, **claims))
        yield speaking


async def the_room(ann: Speaker) -> str:
    made = await ann.ask("room.create", kind="group", title="T", visibility="public", settings={"history": "from_join"})
    room: str = made["room"]["id"]
    await ann.ask("room.join", room=room)
    await ann.ask("message.send", room=room, text="before anybody came")
    return room


async def people_come_and_go(ann: Speaker, bob: Speaker, room: str) -> None:
    code = (await ann.ask("invite.create", room=room, uses=3, seconds=60))["code"]
    await ann.ask("invite.list", room=room)
    await bob.ask("invite.accept", code=code)
    await ann.ask("invite.revoke", room=room, code=code)
    await bob.ask("member.leave", room=room)
    await bob.ask("member.join", room=room)
    epoch = (await ann.ask("room.events", room=room))["epoch"]
    joined = await bob.ask("room.join", room=room, since={"epoch": epoch, "pos": 0})
    assert joined["recovered"]
    assert joined["events"][0] == {"type": "room.skip", "room": room, "from": 1, "to": joined["pos"] - 1}
    await ann.ask("member.role", room=room, user="bob", role="moderator")
    await ann.ask("member.role", room=room, user="bob", role="member")
    await ann.ask("member.list", room=room)
    await ann.ask("presence.get", room=room)
    await bob.ask("typing", room=room)
    await ann.until("typing")
    await ann.until("presence", online=2)


async def they_talk(ann: Speaker, bob: Speaker, room: str) -> None:
    first = (await bob.ask("message.send", room=room, text="hello @ann"))["pos"]
    await ann.until("mention", pos=first)
    await ann.until("user.changed")
    answer = (await ann.ask("message.send", room=room, text="hi", reply_to=first, key="k"))["pos"]
    assert (await ann.ask("message.send", room=room, text="hi", reply_to=first, key="k"))["duplicate"]
    await bob.ask("message.edit", room=room, target=first, text="hello")
    await bob.ask("message.react", room=room, target=answer, emoji="👍")
    await bob.ask("message.unreact", room=room, target=answer, emoji="👍")
    await bob.ask("message.react", room=room, target=answer, emoji="🎉")
    await ann.ask("message.pin", room=room, target=answer, seconds=60)
    await ann.ask("message.list", room=room)
    await ann.ask("message.search", room=room, query="hel")
    await ann.ask("message.unpin", room=room, target=answer)
    await ann.ask("message.delete", room=room, target=first, reason="old")
    await ann.ask("message.list", room=room)
    await bob.ask("read.mark", room=room, pos=answer)
    await bob.ask("read.list")
    await bob.ask("report.create", room=room, target=answer, reason="spam")


async def messages_wait(ann: Speaker, bob: Speaker, room: str) -> None:
    await ann.ask("room.update", room=room, title="U", settings={"delay_seconds": 600})
    for verdict, outcome in (("message.approve", "approved"), ("message.deny", "denied")):
        pending = (await bob.ask("message.send", room=room, text="later"))["pending"]
        await ann.until("message.pending", pending=pending)
        await bob.ask("pending.list", room=room)
        await ann.ask(verdict, room=room, pending=pending)
        assert (await bob.until("pending.resolved", pending=pending))["outcome"] == outcome


async def a_live_room(ann: Speaker, bob: Speaker) -> None:
    room = (await ann.ask("room.create", kind="live", title="L", visibility="public"))["room"]["id"]
    await ann.ask("room.join", room=room)
    comment = (await ann.ask("message.send", room=room, text="first"))["pos"]
    assert "pos" not in await ann.ask("message.react", room=room, target=comment, emoji="🔥")
    assert (await ann.until("reactions"))["counts"] == {"🔥": 1}
    for _ in range(8):
        await bob.ask("message.send", room=room, text="more than one a second")
    sampled = await ann.until("comments.sampled")
    assert sampled["shown"] < sampled["total"]
    await ann.ask("ticket.create", room=room)
    await ann.ask("room.list", mine=True)
    await ann.ask("room.leave", room=room)


async def a_creator_goes_live(live: LiveRooms, ann: Speaker, bob: Speaker, root: Speaker) -> None:
    """The media process is played by its gate, and what it would report is told."""
    room = (await ann.ask("room.create", kind="live", title="On air", visibility="public"))["room"]["id"]
    await ann.ask("live.destination.list")
    made = await ann.ask("live.destination.add", name="Other", url="rtmp://example.com/live", stream_key="k")
    destination = made["destination"]["id"]
    await ann.ask("live.destination.update", destination=destination, enabled=False)
    await ann.ask("live.destination.remove", destination=destination)
    await ann.ask("live.start", room=room, title="Hello", category="Talk", mature=True)
    await ann.ask("live.get", room=room)
    key = (await ann.ask("live.key", room=room))["key"]
    await ann.ask("room.join", room=room)
    gate = live.gate("test")
    admitted = await gate.admit(Claim("rtmp", "192.0.2.1", key=key))
    await gate.flowing(room, admitted.session, admitted.fence)
    await ann.until("live.started", session=admitted.session)
    assert (await bob.ask("room.join", room=room))["room"]["live"]["title"] == "Hello"
    await bob.ask("room.list", kind="live")
    await ann.ask("live.start", room=room, title="Hello again")
    await ann.until("live.updated", title="Hello again")
    live.viewers.report("test", {room: ["bob"]})
    assert (await ann.until("live.viewers", room=room))["now"] == 1
    for event in REPORTED:
        await gate.report(room, "ann", event)
        await ann.until(event["type"])
    await gate.left(room, admitted.session, admitted.fence, "gone")
    await ann.until("live.interrupted")
    await ann.ask("live.get", room=room)
    back = await gate.admit(Claim("rtmp", "192.0.2.1", key=key))
    await gate.flowing(room, back.session, back.fence)
    await ann.until("live.resumed")
    await gate.recorded(Recorded(back.session, room, "ann", "folder", 1, 60_000, 1_000, 640, 360, 2))
    await ann.ask("live.stop", room=room)
    await ann.until("live.stopped")
    recording = (await bob.ask("recording.list", room=room))["recordings"][0]["id"]
    await ann.ask("recording.update", room=room, recording=recording, title="Kept")
    await ann.ask("recording.delete", room=room, recording=recording)
    await root.ask("live.takedown", room=room)
    for speaking in (ann, bob):
        await speaking.ask("room.leave", room=room)


REPORTED: list[dict[str, Any]] = [
    {
        "type": "live.health", "kbit": 2_500, "fps": 30.0, "width": 640, "height": 360, "video": "h264",
        "audio": "aac", "keyframe_ms": 2_000, "loss_percent": None, "round_trip_ms": 20.5, "advice": [],
    },
    {
        "type": "live.destination", "id": "d", "name": "Other", "url": "rtmp://example.com/live", "state": "live",
        "kbit": 2_500, "dropped": 0, "error": "",
    },
    {"type": "live.warning", "message": "The disk is full."},
]  # fmt: skip


async def order_is_kept(ann: Speaker, bob: Speaker, room: str) -> None:
    await ann.ask("member.mute", room=room, user="bob", seconds=60, reason="loud")
    await ann.ask("member.unmute", room=room, user="bob")
    await ann.ask("member.kick", room=room, user="bob", reason="rude")
    assert (await bob.until("room.removed"))["code"] == "kicked"
    await ann.ask("member.ban", room=room, user="bob", seconds=60, reason="rude", purge_seconds=60)
    await ann.ask("member.unban", room=room, user="bob")
    await ann.ask("room.close", room=room)
    await ann.until("room.removed")


async def test_all_that_the_server_says_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services: list[Service] = []

    def kept(*parts: Any) -> Service:
        services.append(Service(*parts))
        return services[-1]

    monkeypatch.setattr(app, "Service", kept)
    async with AsyncExitStack() as stack:
        server_life = await stack.enter_async_context(AsyncExitStack())
        settings = NO_LIMITS | {"GALAXY_LIMITS__LIVE_COMMENTS_PER_SECOND": "1"}
        server = await server_life.enter_async_context(serving(tmp_path, settings))
        ann = await stack.enter_async_context(speaker(server, "ann", name="Ann"))
        bob = await stack.enter_async_context(speaker(server, "bob", name="Bob", ttl_seconds=61))
        await ann.ask("ping")
        room = await the_room(ann)
        await people_come_and_go(ann, bob, room)
        await they_talk(ann, bob, room)
        await messages_wait(ann, bob, room)
        async with speaker(server, "bob", name="Robert"):
            await ann.until("user.updated")
        await order_is_kept(ann, bob, room)
        await a_live_room(ann, bob)
        root = await stack.enter_async_context(speaker(server, "root", roles=["admin"]))
        await a_creator_goes_live(services[0].live, ann, bob, root)
        await bob.until("token.expiring")
        await bob.ask("refresh", token=token("bob", name="Bob"))
        await bob.ask("user.logout")
        assert await bob.until_closed() == 3500
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            closed = group.create_task(ann.until_closed())
            await server_life.aclose()
        assert closed.result() == 3001
    assert ann.asked | bob.asked | root.asked == set(asyncapi.COMMANDS)
    seen = {event["type"] for event in ann.events + bob.events}
    # What is left is made before anybody can join, stands in replies alone, or follows a gap in what nodes hear.
    assert seen == set(asyncapi.LOGGED | asyncapi.EPHEMERAL) - {"room.created", "room.skip", "room.reset"}


async def test_what_is_not_in_this_version(tmp_path: Path) -> None:
    paths = page.codes(page.section("Not in this version").rpartition("answered 404:")[2])
    assert paths
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        bearer = {"Authorization": f"Bearer {token('ann')}"}
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, path.replace("{room}", "r1"), headers=bearer)
                assert answer.status_code == 404, (method, path)
                assert msgspec.json.decode(answer.content, type=wire.Error).code == "not_found"


async def test_over_http_replies_are_the_same_and_their_ids_optional(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        client.headers["Authorization"] = f"Bearer {token('ann')}"
        command = {"type": "room.create", "kind": "group", "title": "T", "visibility": "private"}
        made = await client.post("/v1/commands", json=command)
        assert made.status_code == 200
        assert "id" not in made.json()
        room = msgspec.json.decode(made.content, type=dict[str, Any])["room"]["id"]
        again = await client.post("/v1/commands", json={"type": "message.send", "id": 5, "room": room, "text": "hi"})
        assert msgspec.json.decode(again.content, type=wire.OkMessageSend).id == 5
        events = await client.get(f"/v1/rooms/{room}/events", params={"after": 1})
        shown = msgspec.json.encode(events.json() | {"id": 1})
        assert len(msgspec.json.decode(shown, type=wire.OkRoomEvents).events) == 1
        none = await client.get("/v1/rooms/nowhere/events")
        assert none.status_code == 404
        msgspec.json.decode(none.content, type=wire.Error)
