"""What a user's connections hear beside their rooms, and what is said in passing: typing, presence, names."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rooms.drafts import Draft, Verdict
from tests.support.peer import Peer, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Cautious:
    """A policy that holds what says so."""

    def judge(self, draft: Draft) -> Verdict:
        if "hold" in draft.text:
            return Verdict("hold", "test", rule="words", reason="Somebody will look at this.")
        return Verdict("allow", "test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("realtime.app.WordList", lambda *_: Cautious())
        async with serving(tmp_path_factory.mktemp("users"), NO_LIMITS) as server:
            yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def owner(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("owner", name="Owner")) as peer:
        yield peer


@pytest_asyncio.fixture(loop_scope="module")
async def bob(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("bob", name="Bob")) as peer:
        yield peer


async def make(owner: Peer, *members: Peer, visibility: str = "private", **settings: Any) -> str:
    reply = await owner.ok("room.create", kind="group", title="Room", visibility=visibility, settings=settings)
    room = str(reply["room"]["id"])
    for member in members:
        await member.ok("invite.accept", code=(await owner.ok("invite.create", room=room))["code"])
    return room


async def say(peer: Peer, room: str, *texts: str) -> list[int]:
    return [(await peer.ok("message.send", room=room, text=text))["pos"] for text in texts]


async def changed(peer: Peer, room: str) -> dict[str, Any]:
    """The next word of the room's unread counts."""
    while True:
        event = await peer.event("user.changed")
        for row in event["rooms"]:
            if row["room"] == room:
                return dict(row)


class TestUnread:
    async def test_members_hear_of_it_without_listening(self, url: str, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        assert await changed(bob, room) == await listed(bob, room)
        async with greeted(url, token("bob", name="Bob")) as desk, greeted(url, token("eve")) as eve:
            positions = await say(owner, room, "one", "@bob two", "three", "@bob four")
            for peer in (bob, desk):
                row = await changed(peer, room)
                assert (row["unread"], row["mentions"]) == (4, 2)
                # A second's mentions are told as one.
                assert await peer.event("mention") == {"type": "mention", "room": room, "pos": positions[-1]}
            assert await listed(bob, room) == row
            await bob.ok("read.mark", room=room, pos=positions[1])
            row = await changed(desk, room)
            assert row == {"room": room, "unread": 2, "mentions": 1, "read_pos": positions[1]}
            await owner.ok("message.delete", room=room, target=positions[3])
            assert (await changed(bob, room))["read_pos"] == positions[1]
            row = await changed(bob, room)
            assert (row["mentions"], row["read_pos"]) == (0, positions[1])
            assert await listed(bob, room) == row
            assert [event for event in await eve.settled() if event["type"] in ("user.changed", "mention")] == []

    async def test_sending_marks_ones_own_read(self, url: str, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        await say(owner, room, "one", "@bob two")
        async with greeted(url, token("bob", name="Bob")) as desk:
            [pos] = await say(desk, room, "three")
            for peer in (desk, bob):
                row = await changed(peer, room)
                while row["read_pos"] != pos:
                    row = await changed(peer, room)
                assert row == {"room": room, "unread": 0, "mentions": 0, "read_pos": pos}
            assert await listed(bob, room) == row

    async def test_read_marks_need_no_id_and_never_go_past_the_end(self, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        [pos] = await say(owner, room, "one")
        await bob.write({"type": "read.mark", "room": room, "pos": 2**53 - 1})
        row = await changed(bob, room)
        while row["unread"]:
            row = await changed(bob, room)
        assert row["read_pos"] == pos
        await bob.ok("read.mark", room=room, pos=1)
        assert (await listed(bob, room))["read_pos"] == pos
        assert all(value["type"] != "ok" for value in bob.inbox)


async def listed(peer: Peer, room: str) -> dict[str, Any]:
    rows = (await peer.ok("read.list"))["rooms"]
    return next(dict(row) for row in rows if row["room"] == room)


class TestPending:
    async def test_held_messages_are_shown_to_moderators_and_approved(self, url: str, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        await bob.ok("room.join", room=room)
        reply = await bob.ok("message.send", room=room, text="hold this", key="k")
        assert reply["held"] is True
        assert "pos" not in reply
        seen = await owner.event("message.pending")
        assert (seen["pending"], seen["room"], seen["by"]["id"]) == (reply["pending"], room, "bob")
        assert seen["message"]["text"] == "hold this"
        assert [p["pending"] for p in (await bob.ok("pending.list", room=room))["pending"]] == [reply["pending"]]
        async with greeted(url, token("eve")) as eve:
            await eve.ok("invite.accept", code=(await owner.ok("invite.create", room=room))["code"])
            assert (await eve.ok("pending.list", room=room))["pending"] == []
            assert (await eve.error("message.approve", room=room, pending=reply["pending"]))["code"] == "forbidden"
            assert [event for event in await eve.settled() if event["type"] == "message.pending"] == []
        pos = (await owner.ok("message.approve", room=room, pending=reply["pending"]))["pos"]
        assert await bob.event("pending.resolved") == {
            "type": "pending.resolved",
            "pending": reply["pending"],
            "outcome": "approved",
            "pos": pos,
        }
        created = await bob.event("message.created", pos=pos)
        assert (created["by"]["id"], created["message"]["text"]) == ("bob", "hold this")
        assert (await owner.error("message.deny", room=room, pending=reply["pending"]))["code"] == "not_found"
        again = await bob.ok("message.send", room=room, text="hold this", key="k")
        assert (again["pending"], again["duplicate"]) == (reply["pending"], True)

    async def test_held_messages_can_be_denied(self, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        pending = (await bob.ok("message.send", room=room, text="hold this"))["pending"]
        assert "pos" not in await owner.ok("message.deny", room=room, pending=pending)
        resolved = await bob.event("pending.resolved")
        assert resolved == {"type": "pending.resolved", "pending": pending, "outcome": "denied"}
        assert (await bob.ok("message.list", room=room))["messages"] == []

    async def test_delayed_messages_are_released_in_time(self, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob, delay_seconds=1)
        await owner.ok("room.join", room=room)
        reply = await bob.ok("message.send", room=room, text="later")
        assert reply["delayed"] is True
        seen = await owner.event("message.pending")
        assert (seen["pending"], seen["message"]["text"]) == (reply["pending"], "later")
        [now] = await say(owner, room, "at once")
        created = await owner.event("message.created", by={"id": "bob", "name": "Bob", "role": "member"})
        assert created["pos"] > now
        assert created["at"] >= seen["release_at"]
        resolved = await bob.event("pending.resolved")
        assert (resolved["outcome"], resolved["pos"]) == ("released", created["pos"])

    async def test_delayed_messages_of_who_was_sent_away_never_come(self, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob, delay_seconds=1)
        pending = (await bob.ok("message.send", room=room, text="later"))["pending"]
        pos = (await owner.ok("member.ban", room=room, user="bob"))["pos"]
        resolved = await bob.event("pending.resolved")
        assert resolved == {"type": "pending.resolved", "pending": pending, "outcome": "refused"}
        assert (await owner.ok("room.events", room=room))["pos"] == pos
        assert (await owner.ok("pending.list", room=room))["pending"] == []


class TestInPassing:
    async def test_typing(self, url: str, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        await owner.ok("room.join", room=room)
        await bob.write({"type": "typing", "room": room})
        typing = await owner.event("typing")
        assert (typing["room"], typing["user"]) == (room, "bob")
        assert "pos" not in typing
        await bob.ok("typing", room=room)
        await owner.ok("member.mute", room=room, user="bob")
        assert (await bob.error("typing", room=room))["code"] == "muted"
        await bob.write({"type": "typing", "room": room})
        async with greeted(url, token("eve")) as eve:
            assert (await eve.error("typing", room=room))["code"] == "not_found"
        assert [value for value in await bob.settled() if value["type"] in ("ok", "error")] == []

    async def test_presence_counts_users_not_connections(self, url: str, owner: Peer, bob: Peer) -> None:
        room = await make(owner, bob)
        await owner.ok("room.join", room=room)
        assert (await owner.event("presence"))["online"] == 1
        await bob.ok("room.join", room=room)
        came = await owner.event("presence")
        assert came == {
            "type": "presence",
            "room": room,
            "online": 2,
            "joined": [{"id": "bob", "name": "Bob"}],
            "left": [],
        }
        async with greeted(url, token("bob", name="Bob")) as desk:
            await desk.ok("room.join", room=room)
            assert await desk.ok("presence.get", room=room) == {
                "type": "ok",
                "id": 2,
                "online": 2,
                "names": [{"id": "bob", "name": "Bob"}, {"id": "owner", "name": "Owner"}],
            }
            members = (await owner.ok("member.list", room=room))["members"]
            assert {member["id"]: member["online"] for member in members} == {"owner": True, "bob": True}
        await bob.ok("room.leave", room=room)
        left = await owner.event("presence")
        assert (left["online"], left["left"]) == (1, [{"id": "bob", "name": "Bob"}])

    async def test_presence_of_many_has_no_names(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_LIMITS__PRESENCE_NAMES": "1"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann, visibility="public")
            await ann.ok("room.join", room=room)
            assert (await ann.event("presence"))["joined"] == [{"id": "ann", "name": "ann"}]
            async with greeted(server.url, token("bob")) as bob:
                await bob.ok("room.join", room=room)
                assert await ann.event("presence") == {"type": "presence", "room": room, "online": 2}
                assert "names" not in await ann.ok("presence.get", room=room)

    async def test_a_new_name_reaches_those_who_see_it(self, url: str, owner: Peer) -> None:
        async with greeted(url, token("dan", name="Dan")) as dan:
            room = await make(owner, dan)
            await owner.ok("room.join", room=room)
            await dan.ok("room.join", room=room)
            await dan.ok("refresh", token=token("dan", name="Daniel", avatar="d.png"))
            assert await owner.event("user.updated") == {
                "type": "user.updated",
                "room": room,
                "user": {"id": "dan", "name": "Daniel", "avatar": "d.png"},
            }
            await say(dan, room, "hi")
            assert (await owner.event("message.created"))["by"]["name"] == "Daniel"
            members = (await owner.ok("member.list", room=room))["members"]
            assert {member["id"]: member["name"] for member in members}["dan"] == "Daniel"
            names = (await owner.ok("presence.get", room=room))["names"]
            assert {"id": "dan", "name": "Daniel"} in names
        async with greeted(url, token("dan", name="Dan")):
            assert (await owner.event("user.updated"))["user"] == {"id": "dan", "name": "Dan"}
