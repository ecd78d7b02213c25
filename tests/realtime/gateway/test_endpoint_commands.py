"""Commands over a connection: once by their key, in the order sent, answered before their own event, and paced."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rooms.drafts import Draft, Verdict
from tests.support.peer import Peer, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Judge:
    """A policy that takes its time over what begins with "slow", until it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    def judge(self, draft: Draft) -> Verdict | Awaitable[Verdict]:
        return self._slowly() if draft.text.startswith("slow") else Verdict("allow", "test")

    async def _slowly(self) -> Verdict:
        self.asked.set()
        await self.go_on.wait()
        return Verdict("allow", "test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(tmp_path_factory.mktemp("commands"), NO_LIMITS) as server:
        yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def ann(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("ann")) as peer:
        yield peer


@pytest_asyncio.fixture(loop_scope="module")
async def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Judge]]:
    """A server whose content policy the test holds in its hand."""
    judge = Judge()
    monkeypatch.setattr("realtime.app.WordList", lambda *_: judge)
    async with serving(tmp_path, NO_LIMITS) as server:
        yield server.url, judge
        judge.go_on.set()


async def make(owner: Peer, kind: str = "live", **settings: Any) -> str:
    reply = await owner.ok("room.create", kind=kind, title="Room", visibility="public", settings=settings)
    return str(reply["room"]["id"])


async def texts(peer: Peer, room: str) -> list[str]:
    return [message["text"] for message in (await peer.ok("message.list", room=room))["messages"]]


class TestKeys:
    async def test_the_first_reply_comes_again(self, ann: Peer) -> None:
        room = await make(ann)
        first = await ann.ok("message.send", room=room, text="hi", key="k")
        second = await ann.ok("message.send", room=room, text="hi", key="k")
        assert second == first | {"id": second["id"], "duplicate": True}
        assert await texts(ann, room) == ["hi"]

    async def test_sent_twice_at_once_takes_effect_once(self, ann: Peer) -> None:
        room = await make(ann)
        ids = [await ann.send("message.send", room=room, text="hi", key="k") for _ in range(20)]
        replies = [await ann.reply(command_id) for command_id in ids]
        assert {reply["pos"] for reply in replies} == {2}
        assert [reply.get("duplicate", False) for reply in replies] == [False] + [True] * 19

    async def test_another_body_is_refused(self, ann: Peer) -> None:
        room = await make(ann)
        await ann.ok("message.send", room=room, text="hi", key="k")
        for other in ({"text": "ho"}, {"text": "hi", "reply_to": 2}):
            error = await ann.error("message.send", room=room, key="k", **other)
            assert (error["code"], error["field"], error["retry"]) == ("key_reused", "key", False)
        assert (await ann.error("member.kick", room=room, user="bob", key="k"))["code"] == "key_reused"

    async def test_rooms_and_users_have_keys_of_their_own(self, url: str, ann: Peer) -> None:
        room, other = await make(ann), await make(ann)
        async with greeted(url, token("bob")) as bob:
            for peer, where in ((ann, room), (bob, room), (ann, other)):
                assert "duplicate" not in await peer.ok("message.send", room=where, text="hi", key="k")

    async def test_errors_are_not_kept(self, url: str, ann: Peer) -> None:
        room = await make(ann, locked=True)
        async with greeted(url, token("bob")) as bob:
            assert (await bob.error("message.send", room=room, text="hi", key="k"))["code"] == "locked"
            await ann.ok("room.update", room=room, settings={"locked": False})
            assert "duplicate" not in await bob.ok("message.send", room=room, text="hi", key="k")

    async def test_what_was_said_stays_said_whatever_came_since(self, url: str, ann: Peer) -> None:
        """Sent again after its reply was lost, a message is not refused for what only the second would break."""
        room = await make(ann)
        async with greeted(url, token("bob")) as bob:
            first = await bob.ok("message.send", room=room, text="hi", key="k")
            changes: list[tuple[str, dict[str, Any]]] = [
                ("room.update", {"settings": {"slow_seconds": 60, "unique": True}}),
                ("member.mute", {"user": "bob"}),
                ("room.update", {"settings": {"locked": True}}),
                ("member.ban", {"user": "bob"}),
                ("room.close", {}),
            ]
            for name, fields in changes:
                await ann.ok(name, room=room, **fields)
                again = await bob.ok("message.send", room=room, text="hi", key="k")
                assert (again["pos"], again["at"], again["duplicate"]) == (first["pos"], first["at"], True)
                assert (await bob.error("message.send", room=room, text="hi", key="other"))["code"] in (
                    "slow_mode",
                    "muted",
                    "banned",
                )

    async def test_rooms_are_made_once(self, ann: Peer) -> None:
        fields = {"kind": "group", "title": "Once", "visibility": "private", "key": "make"}
        first = await ann.ok("room.create", **fields)
        again = await ann.ok("room.create", **fields)
        assert (again["room"]["id"], again["duplicate"]) == (first["room"]["id"], True)

    async def test_they_outlive_the_server(self, tmp_path: Path) -> None:
        async with serving(tmp_path, NO_LIMITS) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            first = await ann.ok("message.send", room=room, text="hi", key="k")
        async with serving(tmp_path, NO_LIMITS) as server, greeted(server.url, token("ann")) as ann:
            assert (await ann.ok("message.send", room=room, text="hi", key="k"))["pos"] == first["pos"]


class TestOrder:
    async def test_the_reply_comes_before_its_own_event(self, ann: Peer) -> None:
        room = await make(ann)
        await ann.ok("room.join", room=room)
        ids = [await ann.send("message.send", room=room, text=str(number)) for number in range(50)]
        replied: dict[int, int] = {}
        heard: list[int] = []
        while len(heard) < 50:
            value = await ann.receive()
            if value["type"] == "ok":
                replied[value["pos"]] = value["id"]
            elif value["type"] == "message.created":
                assert value["pos"] in replied
                heard.append(value["pos"])
        assert [replied[pos] for pos in heard] == ids

    async def test_one_connections_commands_take_effect_in_order(self, ann: Peer) -> None:
        room = await make(ann, kind="group")
        await ann.send("room.update", room=room, settings={"slow_seconds": 5})
        sent = await ann.send("message.send", room=room, text="one")
        edited = await ann.send("message.edit", room=room, target=3, text="two")
        listed = await ann.send("message.list", room=room)
        deleted = await ann.send("message.delete", room=room, target=3)
        empty = await ann.send("message.list", room=room)
        joined = await ann.send("room.join", room=room)
        last = await ann.send("message.send", room=room, text="three")
        assert [(await ann.reply(command_id))["pos"] for command_id in (sent, edited, deleted)] == [3, 4, 5]
        assert (await ann.reply(listed))["messages"][0]["text"] == "two"
        assert [m.get("text") for m in (await ann.reply(empty))["messages"] if not m.get("deleted")] == []
        assert (await ann.reply(joined))["pos"] == 5
        assert (await ann.reply(last))["pos"] == 6
        assert (await ann.event("message.created"))["pos"] == 6

    async def test_however_slow_the_policy_is_with_one_of_them(self, judged: tuple[str, Judge]) -> None:
        url, judge = judged
        async with greeted(url, token("ann")) as ann, greeted(url, token("bob")) as bob:
            room, other = await make(ann), await make(ann)
            await ann.ok("room.join", room=room)
            slow = await ann.send("message.send", room=room, text="slow one")
            fast = await ann.send("message.send", room=room, text="fast two")
            listed = await ann.send("message.list", room=room)
            last = await ann.send("message.send", room=room, text="fast three")
            await judge.asked.wait()
            # Nobody else waits: not others in the room, nor the same connection elsewhere.
            await bob.ok("message.send", room=room, text="bob's")
            await ann.ok("message.send", room=other, text="elsewhere")
            assert (await ann.event("message.created"))["message"]["text"] == "bob's"
            assert [value for value in ann.inbox if value["type"] == "ok"] == []
            judge.go_on.set()
            assert [(await ann.reply(command_id))["pos"] for command_id in (slow, fast)] == [3, 4]
            assert [m["text"] for m in (await ann.reply(listed))["messages"]] == ["bob's", "slow one", "fast two"]
            assert (await ann.reply(last))["pos"] == 5
            heard = [(await ann.event("message.created"))["message"]["text"] for _ in range(3)]
            assert heard == ["slow one", "fast two", "fast three"]

    async def test_a_ban_acts_on_what_is_still_being_judged(self, judged: tuple[str, Judge]) -> None:
        url, judge = judged
        async with greeted(url, token("ann")) as ann, greeted(url, token("bob")) as bob:
            room = await make(ann)
            slow = await bob.send("message.send", room=room, text="slow one")
            await judge.asked.wait()
            await ann.ok("member.ban", room=room, user="bob")
            judge.go_on.set()
            assert (await bob.reply(slow))["code"] == "banned"
            assert await texts(ann, room) == []

    async def test_one_connections_rooms_do_not_wait_for_each_other(self, ann: Peer) -> None:
        rooms = [await make(ann) for _ in range(20)]
        ids = [await ann.send("message.send", room=room, text=str(n)) for n in range(20) for room in rooms]
        replies = [await ann.reply(command_id) for command_id in ids]
        assert all(reply["type"] == "ok" for reply in replies)
        for room in rooms:
            assert await texts(ann, room) == [str(n) for n in range(20)]


class TestPace:
    async def test_too_many_commands(self, tmp_path: Path) -> None:
        settings = {
            "GALAXY_LIMITS__COMMANDS_PER_SECOND": "5",
            "GALAXY_LIMITS__COMMANDS_BURST": "5",
            "GALAXY_LIMITS__RATE_LIMITED_PER_MINUTE": "10",
        }
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            ids = [await ann.send("ping") for _ in range(10)]
            replies = [await ann.reply(command_id) for command_id in ids]
            limited = [reply for reply in replies if reply["type"] == "error"]
            assert [reply["type"] for reply in replies[:5]] == ["ok"] * 5
            assert limited
            assert {(error["code"], error["retry"]) for error in limited} == {("rate_limited", True)}
            assert all(0 < error["retry_after_ms"] <= 200 for error in limited)
            await ann.write({"type": "typing", "room": "nowhere"})
            for _ in range(60):
                await ann.send("ping")
            assert await ann.closed() == (3013, "too many requests")
            assert all("id" in value for value in ann.inbox)

    async def test_joins_are_counted_apart(self, tmp_path: Path) -> None:
        settings = {
            "GALAXY_LIMITS__COMMANDS_PER_SECOND": "3",
            "GALAXY_LIMITS__COMMANDS_BURST": "3",
            "GALAXY_LIMITS__JOINS_BURST": "30",
        }
        async with serving(tmp_path, settings) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            ids = [await ann.send("room.join", room=room) for _ in range(30)]
            assert {(await ann.reply(command_id))["type"] for command_id in ids} == {"ok"}
            await ann.ok("message.send", room=room, text="hi")

    async def test_reactions_have_a_limit_of_their_own(self, tmp_path: Path) -> None:
        async with serving(tmp_path) as server, greeted(server.url, token("ann")) as ann:
            room = await make(ann)
            await ann.ok("message.send", room=room, text="hi")
            ids = [await ann.send("message.react", room=room, target=2, emoji="👍") for _ in range(12)]
            codes = [(await ann.reply(command_id)).get("code") for command_id in ids]
            assert codes.count(None) in (5, 10)
            assert set(codes) == {None, "rate_limited"}
            await ann.ok("ping")
