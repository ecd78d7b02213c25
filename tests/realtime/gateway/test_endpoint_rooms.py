"""What a connection hears of its rooms: from joining on, over every way of losing one, and at every speed."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from realtime.fanout.rings import Rings
from realtime.stores.sqlite import SQLiteStore
from tests.support.peer import JSON, MSGPACK, WAIT, Peer, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(tmp_path_factory.mktemp("rooms"), NO_LIMITS) as server:
        yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def owner(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("owner", name="Owner")) as peer:
        yield peer


async def make(owner: Peer, kind: str = "group", visibility: str = "public", **settings: Any) -> str:
    reply = await owner.ok("room.create", kind=kind, title="Room", visibility=visibility, settings=settings)
    return str(reply["room"]["id"])


async def say(peer: Peer, room: str, *texts: str) -> list[int]:
    return [(await peer.ok("message.send", room=room, text=text))["pos"] for text in texts]


def since(joined: dict[str, Any], pos: int | None = None) -> dict[str, Any]:
    return {"epoch": joined["epoch"], "pos": joined["pos"] if pos is None else pos}


def spans(events: list[dict[str, Any]]) -> list[int]:
    """All positions that events, skips included, account for."""
    found: list[int] = []
    for event in events:
        if event["type"] == "room.skip":
            found.extend(range(event["from"], event["to"] + 1))
        elif "pos" in event and event["type"] not in ("room.removed", "mention"):
            found.append(event["pos"])
    return found


def slow_socket(url: str) -> socket.socket:
    """A connection whose kernel takes next to nothing that is not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    sock.setblocking(False)
    return sock


class TestJoining:
    async def test_hears_all_from_the_reply_on(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        await say(owner, room, "before")
        async with greeted(url, token("bob")) as bob:
            joined = await bob.ok("room.join", room=room)
            assert (joined["pos"], joined["first_pos"], joined["recovered"], joined["events"]) == (2, 1, False, [])
            assert joined["you"] == {"role": "none", "read_pos": 0}
            assert joined["room"]["id"] == room
            assert joined["room"]["counts"] == {"members": 1, "online": 0}
            await say(owner, room, "one", "two")
            events = [await bob.event("message.created") for _ in range(2)]
            assert [(event["pos"], event["message"]["text"], event["message"]["n"]) for event in events] == [
                (3, "one", 2),
                (4, "two", 3),
            ]
            assert events[0]["by"] == {"id": "owner", "name": "Owner", "role": "owner"}
            assert events[0]["room"] == room

    async def test_hears_nothing_of_other_rooms_nor_after_leaving(self, url: str, owner: Peer) -> None:
        room, other = await make(owner), await make(owner)
        async with greeted(url, token("bob")) as bob, greeted(url, token("bob")) as nowhere:
            await bob.ok("room.join", room=room)
            await say(owner, other, "elsewhere")
            assert [e for e in await bob.settled() if e.get("room") == other] == []
            await bob.ok("room.leave", room=room)
            await bob.ok("room.leave", room=room)
            await say(owner, room, "too late")
            await owner.ok("typing", room=room)
            assert spans(await bob.settled()) == []
            assert spans(await nowhere.settled()) == []
            joined = await bob.ok("room.join", room=room)
            assert joined["pos"] == 2
            await say(owner, room, "again")
            assert (await bob.event("message.created"))["pos"] == 3

    async def test_joining_twice_hears_once(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        async with greeted(url, token("bob")) as bob:
            await bob.ok("room.join", room=room)
            joined = await bob.ok("room.join", room=room)
            await bob.ok("room.join", room=room, since=since(joined))
            await say(owner, room, "one", "two")
            await bob.event("message.created", pos=3)
            assert spans(await bob.settled()) == [2]

    async def test_both_codecs_hear_the_same(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        async with greeted(url, token("bob"), codec=JSON) as bob, greeted(url, token("bob"), codec=MSGPACK) as packed:
            for peer in (bob, packed):
                await peer.ok("room.join", room=room)
            [pos] = await say(owner, room, "你好 😀")
            await owner.ok("message.edit", room=room, target=pos, text="再见")
            await owner.ok("message.delete", room=room, target=pos)
            await owner.ok("member.mute", room=room, user="bob", reason="loud")
            await owner.ok("room.update", room=room, settings={"slow_seconds": 5})
            await bob.event("room.updated")
            await packed.event("room.updated")
            heard, heard_packed = await bob.settled(), await packed.settled()
            logged = [event for event in heard if "pos" in event]
            assert logged == [event for event in heard_packed if "pos" in event]
            assert [event["type"] for event in logged] == [
                "message.created",
                "message.edited",
                "message.deleted",
                "member.muted",
            ]

    async def test_a_connection_listens_to_so_many_rooms(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_LIMITS__ROOMS_PER_CONNECTION": "2"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            assert ann.welcome["limits"]["rooms_per_connection"] == 2
            rooms = [await make(ann) for _ in range(3)]
            await ann.ok("room.join", room=rooms[0])
            assert (await ann.error("room.join", room="nowhere"))["code"] == "not_found"
            await ann.ok("room.join", room=rooms[1])
            await ann.ok("room.join", room=rooms[1])
            assert (await ann.error("room.join", room=rooms[2]))["code"] == "too_many"
            await ann.ok("room.leave", room=rooms[0])
            await ann.ok("room.join", room=rooms[2])


class TestRecovering:
    async def test_brings_what_was_missed(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        async with greeted(url, token("bob")) as bob:
            joined = await bob.ok("room.join", room=room)
        await say(owner, room, "one", "two", "three")
        await owner.ok("message.delete", room=room, target=2)
        await owner.ok("message.edit", room=room, target=3, text="zwei")
        async with greeted(url, token("bob")) as bob:
            again = await bob.ok("room.join", room=room, since=since(joined))
            assert (again["recovered"], again["pos"]) == (True, 6)
            assert spans(again["events"]) == [2, 3, 4, 5, 6]
            assert again["events"][0]["deleted"] is True
            assert "message" not in again["events"][0]
            assert again["events"][1]["message"]["text"] == "zwei"
            await say(owner, room, "four")
            assert (await bob.event("message.created"))["pos"] == 7
            nothing = await bob.ok("room.join", room=room, since=since(again, 7))
            assert (nothing["recovered"], nothing["events"], nothing["pos"]) == (True, [], 7)

    async def test_is_refused_where_it_cannot_be_whole(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        joined = await owner.ok("room.join", room=room)
        await say(owner, room, "one")
        for gone in ({"epoch": "another", "pos": 1}, since(joined, 3), since(joined, 2**53 - 1)):
            again = await owner.ok("room.join", room=room, since=gone)
            assert (again["recovered"], again["events"], again["pos"]) == (False, [], 2)
        assert (await owner.ok("room.join", room=room, since=since(joined, 0)))["recovered"] is True

    async def test_is_refused_where_it_would_be_too_much(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_LIMITS__RECOVER_EVENTS": "3", "GALAXY_LIMITS__RECOVER_BYTES": "1024"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            joined = await ann.ok("room.join", room=room)
            await say(ann, room, "1", "2", "3")
            assert spans((await ann.ok("room.join", room=room, since=since(joined)))["events"]) == [2, 3, 4]
            await say(ann, room, "4")
            assert (await ann.ok("room.join", room=room, since=since(joined)))["recovered"] is False
            await say(ann, room, "x" * 1_000)
            again = await ann.ok("room.join", room=room, since=since(joined, 5))
            assert (again["recovered"], again["events"]) == (False, [])

    async def test_is_refused_below_what_the_log_still_holds(self, tmp_path: Path) -> None:
        async with serving(tmp_path, NO_LIMITS) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            joined = await ann.ok("room.join", room=room)
            await say(ann, room, "1", "2", "3")
        with sqlite3.connect(tmp_path / "galaxy.db") as database:
            database.execute("UPDATE rooms SET first_pos = 3")
        async with serving(tmp_path, NO_LIMITS) as server, greeted(server.url, token("ann")) as ann:
            lost = await ann.ok("room.join", room=room, since=since(joined, 1))
            assert (lost["recovered"], lost["first_pos"]) == (False, 3)
            again = await ann.ok("room.join", room=room, since=since(joined, 2))
            assert (again["recovered"], spans(again["events"])) == (True, [3, 4])

    async def test_announces_what_is_from_before_ones_joining(self, url: str, owner: Peer) -> None:
        room = await make(owner, history="from_join")
        [old] = await say(owner, room, "old")
        async with greeted(url, token("bob")) as bob:
            await bob.ok("member.join", room=room)
            joined = await bob.ok(
                "room.join", room=room, since={"epoch": (await owner.ok("room.events", room=room))["epoch"], "pos": 0}
            )
            assert joined["recovered"] is True
            assert [event["type"] for event in joined["events"]] == ["room.skip", "member.joined"]
            assert (joined["events"][0]["from"], joined["events"][0]["to"]) == (1, 2)
            await owner.ok("message.edit", room=room, target=old, text="old, edited")
            await owner.ok("message.send", room=room, text="new", reply_to=old)
            reply = await bob.event("message.created")
            assert reply["message"]["reply_to"] == {"pos": old}
            live = [event for event in await bob.settled() if event.get("room") == room and event["type"] != "presence"]
            assert live == [{"type": "room.skip", "room": room, "from": 4, "to": 4}]
            again = await bob.ok("room.join", room=room, since=since(joined))
            assert [event["type"] for event in again["events"]] == ["room.skip", "message.created"]

    async def test_many_rooms_at_once_are_recovered_however_slowly_they_are_read(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_LIMITS__UNSENT_BYTES": "262144"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            rooms = [await make(ann) for _ in range(12)]
            joined = [await ann.ok("room.events", room=room) for room in rooms]
            for room in rooms:
                for command_id in [await ann.send("message.send", room=room, text="x" * 2_000) for _ in range(90)]:
                    await ann.reply(command_id)
            async with greeted(server.url, token("bob"), sock=slow_socket(server.url)) as bob:
                ids = [
                    await bob.send("room.join", room=room, since=since(reply))
                    for room, reply in zip(rooms, joined, strict=True)
                ]
                for command_id, room in zip(ids, rooms, strict=True):
                    reply = await bob.reply(command_id)
                    assert reply["recovered"] is True, room
                    assert len(reply["events"]) == 90
                    await say(ann, room, "live")
                    assert (await bob.event("message.created", room=room, pos=92))["message"]["text"] == "live"


class TestRemoval:
    @pytest.mark.parametrize(
        ("command", "notice"),
        [
            ({"type": "member.kick", "reason": "rest"}, {"code": "kicked", "reason": "rest"}),
            ({"type": "member.ban", "reason": "spam"}, {"code": "banned", "reason": "spam"}),
            ({"type": "room.close"}, {"code": "closed"}),
        ],
    )
    @pytest.mark.parametrize("visibility", ["public", "private"])
    async def test_ends_all_of_a_users_subscriptions_of_that_room_and_no_more(
        self, url: str, owner: Peer, command: dict[str, Any], notice: dict[str, Any], visibility: str
    ) -> None:
        room, other = await make(owner, visibility=visibility), await make(owner)
        bob_token = token("bob")
        async with greeted(url, bob_token) as phone, greeted(url, bob_token) as desk, greeted(url, bob_token) as idle:
            code = (await owner.ok("invite.create", room=room))["code"]
            await phone.ok("invite.accept", code=code)
            for peer in (phone, desk):
                await peer.ok("room.join", room=room)
                await peer.ok("room.join", room=other)
            fields = {k: v for k, v in command.items() if k != "type"} | (
                {} if command["type"] == "room.close" else {"user": "bob"}
            )
            pos = (await owner.ok(command["type"], room=room, **fields))["pos"]
            await say(owner, other, "elsewhere")
            for peer in (phone, desk):
                assert await peer.event("room.removed") == {"type": "room.removed", "room": room} | notice
                await peer.event("message.created", room=other)
                assert [e["pos"] for e in await peer.settled() if e.get("room") == room and "pos" in e] == [pos]
            assert [e for e in await idle.settled() if e["type"] == "room.removed"] == []

    async def test_says_until_when(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        async with greeted(url, token("bob")) as bob:
            await bob.ok("room.join", room=room)
            await owner.ok("member.ban", room=room, user="bob", seconds=60)
            removed = await bob.event("room.removed")
            assert 0 < removed["until"] - bob.welcome["server_time"] < 120_000
            error = await bob.error("room.join", room=room)
            assert (error["code"], error["retry"]) == ("banned", True)
            assert 0 < error["retry_after_ms"] <= 60_000
            assert (await bob.error("message.send", room=room, text="hi"))["code"] == "banned"
            await owner.ok("member.unban", room=room, user="bob")
            await bob.ok("room.join", room=room)

    async def test_leaving_a_private_room_ends_it_and_a_public_one_does_not(self, url: str, owner: Peer) -> None:
        private, public = await make(owner, visibility="private"), await make(owner)
        async with greeted(url, token("bob")) as bob:
            for room in (private, public):
                await bob.ok("invite.accept", code=(await owner.ok("invite.create", room=room))["code"])
                await bob.ok("room.join", room=room)
                await bob.ok("member.leave", room=room)
            assert (await bob.event("room.removed")) == {"type": "room.removed", "room": private, "code": "revoked"}
            await say(owner, public, "still heard")
            await bob.event("message.created", room=public)
            assert (await bob.error("room.join", room=private))["code"] == "not_found"

    async def test_a_kick_while_joining_again_leaves_nothing_behind(
        self, url: str, owner: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = await make(owner)
        await owner.ok("room.join", room=room)
        read, asked, go_on = SQLiteStore.events, asyncio.Event(), asyncio.Event()

        async def slowly(store: SQLiteStore, *args: Any, **kwargs: Any) -> object:
            asked.set()
            await go_on.wait()
            return await read(store, *args, **kwargs)

        async with greeted(url, token("bob")) as bob:
            await bob.ok("member.join", room=room)
            joined = await bob.ok("room.join", room=room)
            with monkeypatch.context() as unheard:
                unheard.setattr(Rings, "committed", lambda *_, **__: None)  # or the past would be at hand
                await say(owner, room, "one")
            monkeypatch.setattr(SQLiteStore, "events", slowly)
            again = await bob.send("room.join", room=room, since=since(joined))
            await asked.wait()
            await owner.ok("member.kick", room=room, user="bob")
            go_on.set()
            reply = await bob.reply(again)
            assert (reply["type"], reply["recovered"], reply["you"]["role"]) == ("ok", True, "none")
            assert [event["type"] for event in reply["events"]] == ["message.created", "member.kicked"]
            await say(owner, room, "two")
            await bob.event("message.created", pos=reply["pos"] + 1)
        # Whoever is gone is no longer online.
        async with asyncio.timeout(WAIT):
            while (await owner.ok("presence.get", room=room))["online"] != 1:
                await owner.event("presence")

    async def test_only_moderators_and_the_muted_learn_why(self, url: str, owner: Peer) -> None:
        room = await make(owner)
        async with (
            greeted(url, token("bob")) as bob,
            greeted(url, token("ann")) as ann,
            greeted(url, token("mod", rooms={room: "moderator"})) as mod,
        ):
            for peer in (bob, ann, mod):
                await peer.ok("room.join", room=room)
            await owner.ok("member.mute", room=room, user="bob", seconds=60, reason="loud")
            for peer in (bob, mod):
                muted = await peer.event("member.muted")
                assert (muted["user"], muted["reason"], muted["by"]["id"]) == ("bob", "loud", "owner")
            muted = await ann.event("member.muted")
            assert muted["user"] == "bob"
            assert "reason" not in muted
            assert muted["by"].get("id") != "owner"
            assert (await bob.ok("room.join", room=room))["you"]["muted_until"] == muted["until"]


class TestSlowReaders:
    async def test_are_closed_and_recover_without_a_gap(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_LIMITS__UNSENT_BYTES": "131072", "GALAXY_LIMITS__RECOVER_BYTES": "10000000"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            async with greeted(server.url, token("bob"), sock=slow_socket(server.url), max_queue=1) as bob:
                joined = await bob.ok("room.join", room=room)
                async with greeted(server.url, token("eve")) as eve:
                    await eve.ok("room.join", room=room)
                    for _ in range(120):
                        [pos] = await say(ann, room, "漢" * 2_000)
                        await eve.event("message.created", pos=pos)
                assert await bob.closed() == (3008, "too slow")
                heard = spans(bob.inbox)
                assert 0 < len(heard) < 120
                assert heard == list(range(2, 2 + len(heard)))
            async with greeted(server.url, token("bob")) as bob:
                again = await bob.ok("room.join", room=room, since=since(joined, heard[-1]))
                assert again["recovered"] is True
                assert spans(again["events"]) == list(range(heard[-1] + 1, 122))
