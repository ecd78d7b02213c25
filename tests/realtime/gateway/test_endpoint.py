"""Who a connection is: every way of saying so, to the real server, and how it ends."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from realtime.gateway.endpoint import Endpoint
from realtime.hosting.service import Service
from rooms.actors import Actor
from tests.support.peer import MSGPACK, WAIT, connected, greeted
from tests.support.server import NO_LIMITS, serving, token

GROUP = {"kind": "group", "title": "Group", "visibility": "public"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(tmp_path_factory.mktemp("identity"), NO_LIMITS) as server:
        yield server.url


class TestWelcome:
    async def test_follows_a_token_in_the_header(self, url: str) -> None:
        async with greeted(url, token("ann", name="Ann", roles=["admin"], avatar="a.png")) as ann:
            welcome = ann.welcome
            assert "id" not in welcome
            assert welcome["user"] == {"id": "ann", "name": "Ann", "avatar": "a.png", "roles": ["admin"]}
            assert isinstance(welcome["session"], str)
            assert welcome["heartbeat_ms"] == 25_000
            assert welcome["limits"]["message_bytes"] == 65_536
            reply = await ann.ok("ping")
            assert 0 <= reply["server_time"] - welcome["server_time"] < 60_000

    async def test_follows_a_token_in_the_address(self, url: str) -> None:
        async with connected(url, query=f"?token={token('ann')}") as ann:
            assert (await ann.take(type="welcome"))["user"]["id"] == "ann"

    @pytest.mark.parametrize("codec", [None, "galaxy.v1.json", MSGPACK])
    async def test_answers_hello_with_its_id(self, url: str, codec: str | None) -> None:
        async with connected(url, codec=codec) as ann:
            welcome = await ann.reply(await ann.send("hello", token=token("ann", name="Ann")))
            assert welcome["type"] == "welcome"
            assert welcome["user"] == {"id": "ann", "name": "Ann", "roles": []}

    async def test_comes_before_the_answers_to_what_did_not_wait_for_it(self, url: str) -> None:
        async with connected(url) as ann:
            ids = [await ann.send("hello", token=token("ann")), *[await ann.send("ping") for _ in range(10)]]
            answers = [await ann.receive() for _ in ids]
            assert [answer["id"] for answer in answers] == ids
            assert [answer["type"] for answer in answers] == ["welcome"] + ["ok"] * 10

    async def test_comes_once(self, url: str) -> None:
        async with connected(url) as ann:
            await ann.send("hello", token=token("ann"))
            at_once = await ann.send("hello", token=token("bob"))
            assert (await ann.reply(at_once))["code"] == "bad_request"
            assert (await ann.take(type="welcome"))["user"]["id"] == "ann"
            assert (await ann.error("hello", token=token("bob")))["code"] == "bad_request"

    async def test_commands_before_hello_are_refused(self, url: str) -> None:
        async with connected(url) as ann:
            assert (await ann.error("room.list"))["code"] == "unauthorized"
            await ann.write({"type": "typing", "room": "r"})
            assert (await ann.reply(await ann.send("hello", token=token("ann"))))["type"] == "welcome"
            assert ann.inbox == []


class TestBadToken:
    @pytest.mark.parametrize("bad", ["", "nonsense", "a.b.c", token("ann")[:-4] + "AAAA", "ü"])
    @pytest.mark.parametrize("way", ["header", "address", "hello"])
    async def test_is_told_and_closed(self, url: str, bad: str, way: str) -> None:
        if way == "header" and not (bad and bad.isascii()):
            bad = "."
        query = f"?token={bad}" if way == "address" else ""
        async with connected(url, bad if way == "header" else None, query=query) as ann:
            if way == "hello" or query == "?token=":
                await ann.send("hello", token=bad)
            assert await ann.closed() == (3500, "bad token")
            error = ann.inbox.pop()
            assert (error["type"], error["code"], error["retry"]) == ("error", "unauthorized", False)
            assert "id" not in error
            assert ann.inbox == []

    async def test_no_hello_in_time(self, tmp_path: Path) -> None:
        async with serving(tmp_path, {"GALAXY_LIMITS__HELLO_SECONDS": "1"}) as server, connected(server.url) as ann:
            assert (await ann.closed())[0] == 3500
            assert [error["code"] for error in ann.inbox] == ["unauthorized"]

    async def test_too_many_bad_requests(self, tmp_path: Path) -> None:
        limits = {"GALAXY_LIMITS__BAD_REQUESTS_PER_MINUTE": "5"}
        async with serving(tmp_path, limits) as server, greeted(server.url, token("ann")) as ann:
            for _ in range(6):
                await ann.write("{}")
            assert await ann.closed() == (3501, "too many bad requests")
            assert [error["field"] for error in ann.inbox] == ["type"] * 5


class TestEndOfToken:
    async def test_is_announced_and_closes(self, url: str) -> None:
        async with greeted(url, token("ann", ttl_seconds=1)) as ann:
            expiring = await ann.event("token.expiring")
            assert abs(expiring["expires_at"] - ann.welcome["server_time"]) <= 1_000
            assert await ann.closed() == (3005, "token expired")
            assert ann.inbox == []

    async def test_is_put_off_by_a_refresh(self, url: str) -> None:
        async with greeted(url, token("ann", ttl_seconds=1)) as ann, greeted(url, token("bob", ttl_seconds=2)) as bob:
            await ann.event("token.expiring")
            assert await ann.ok("refresh", token=token("ann")) == {"type": "ok", "id": 1}
            assert await bob.closed() == (3005, "token expired")
            assert await ann.settled() == []

    async def test_is_not_put_off_by_a_bad_token(self, url: str) -> None:
        async with greeted(url, token("ann", ttl_seconds=2)) as ann:
            for other in (token("bob"), "nonsense", ""):
                error = await ann.error("refresh", token=other)
                assert (error["code"], error["field"]) == ("unauthorized", "token")
            assert await ann.closed() == (3005, "token expired")

    async def test_a_refresh_that_grants_less_ends_subscriptions(self, url: str) -> None:
        async with greeted(url, token("owner")) as owner:
            secret = (await owner.ok("room.create", kind="group", title="S", visibility="private"))["room"]["id"]
            public = (await owner.ok("room.create", **GROUP))["room"]["id"]
            async with greeted(url, token("ann", rooms={secret: "moderator"})) as ann:
                assert (await ann.ok("room.join", room=secret))["you"]["role"] == "moderator"
                await ann.ok("room.join", room=public)
                await ann.ok("refresh", token=token("ann"))
                removed = await ann.event("room.removed")
                assert removed == {"type": "room.removed", "room": secret, "code": "revoked"}
                await owner.ok("message.send", room=secret, text="secret")
                await owner.ok("message.send", room=public, text="public")
                assert (await ann.event("message.created"))["room"] == public
                assert (await ann.error("room.join", room=secret))["code"] == "not_found"
                assert all(event.get("room") != secret for event in await ann.settled())

    async def test_a_refresh_that_grants_more_shows_more(self, url: str) -> None:
        async with greeted(url, token("owner")) as owner, greeted(url, token("ann")) as ann:
            room = (await owner.ok("room.create", **GROUP))["room"]["id"]
            await ann.ok("room.join", room=room)
            await owner.ok("member.mute", room=room, user="bob", reason="first")
            await ann.ok("refresh", token=token("ann", rooms={room: "moderator"}))
            await owner.ok("member.mute", room=room, user="bob", reason="second")
            assert "reason" not in await ann.event("member.muted")
            assert (await ann.event("member.muted"))["reason"] == "second"


class TestAnonymous:
    async def test_may_only_listen_to_public_live_rooms(self, tmp_path: Path) -> None:
        settings = NO_LIMITS | {"GALAXY_AUTH__ANONYMOUS": "true", "GALAXY_LIMITS__HELLO_SECONDS": "1"}
        async with serving(tmp_path, settings) as server, greeted(server.url, token("owner")) as owner:
            live = (await owner.ok("room.create", kind="live", title="L", visibility="public"))["room"]["id"]
            group = (await owner.ok("room.create", **GROUP))["room"]["id"]
            private = (await owner.ok("room.create", kind="live", title="P", visibility="private"))["room"]["id"]
            async with connected(server.url) as viewer, connected(server.url) as silent:
                welcome = await viewer.reply(await viewer.send("hello"))
                assert welcome["user"] == {"id": "", "name": "", "roles": []}
                assert (await viewer.ok("room.join", room=live))["you"]["role"] == "none"
                assert (await viewer.error("room.join", room=group))["code"] == "unauthorized"
                assert (await viewer.error("room.join", room=private))["code"] == "not_found"
                for command in (
                    {"type": "message.send", "room": live, "text": "hi"},
                    {"type": "typing", "room": live},
                    {"type": "room.list"},
                    {"type": "read.list"},
                    {"type": "message.list", "room": live},
                    {"type": "ticket.create", "room": live},
                    {"type": "refresh", "token": token("ann")},
                    {"type": "user.logout"},
                    {"type": "room.create", **GROUP},
                    {"type": "invite.accept", "code": "x"},
                ):
                    name = command.pop("type")
                    assert (await viewer.error(name, **command))["code"] == "unauthorized", name
                assert (await silent.closed())[0] == 3500
                # Who has said hello, if no more, outlives the time for saying it.
                await owner.ok("message.send", room=live, text="hello")
                assert (await viewer.event("message.created"))["message"]["text"] == "hello"
                await viewer.ok("room.leave", room=live)

    async def test_needs_the_config(self, url: str) -> None:
        async with connected(url) as viewer:
            await viewer.send("hello")
            assert (await viewer.closed())[0] == 3500


class TestConnectionsOfOneUser:
    async def test_are_limited(self, tmp_path: Path) -> None:
        async with serving(tmp_path, {"GALAXY_LIMITS__CONNECTIONS_PER_USER": "2"}) as server:
            ann = token("ann")
            async with greeted(server.url, ann) as one, greeted(server.url, ann) as two:
                async with connected(server.url, ann) as third:
                    assert await third.closed() == (3504, "too many connections")
                    assert third.inbox == []
                async with greeted(server.url, token("bob")):
                    pass
                await one.ok("ping")
                await two.ws.close()
                async with greeted(server.url, ann) as fourth:
                    await fourth.ok("ping")

    async def test_end_together_by_logging_out(self, url: str) -> None:
        async with (
            greeted(url, token("ann")) as phone,
            greeted(url, token("ann")) as desk,
            greeted(url, token("bob")) as bob,
        ):
            old = token("ann", iat=time.time() - 1)
            assert (await bob.error("user.logout", user="ann"))["field"] == "user"
            assert await phone.ok("user.logout") == {"type": "ok", "id": 1}
            assert await phone.closed() == (3500, "logged out")
            assert await desk.closed() == (3500, "logged out")
            async with connected(url, old) as late:
                assert (await late.closed())[0] == 3500
                assert late.inbox[0]["code"] == "unauthorized"
            async with greeted(url, token("ann")) as again:
                await again.ok("ping")
            await bob.ok("ping")

    async def test_an_admin_may_log_others_out(self, url: str) -> None:
        async with greeted(url, token("root", roles=["admin"])) as root, greeted(url, token("ann")) as ann:
            await root.ok("user.logout", user="ann")
            assert (await ann.closed())[0] == 3500
            await root.ok("ping")

    async def test_who_leaves_while_being_let_in_leaves_nothing_behind(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, asked, go_on = Service.check_profile, asyncio.Event(), asyncio.Event()

        async def slowly(service: Service, actor: Actor, issued: int | None) -> None:
            asked.set()
            await go_on.wait()
            await read(service, actor, issued)

        def endpoints() -> set[int]:
            gc.collect()
            return {id(o) for o in gc.get_objects() if isinstance(o, Endpoint)}

        before = endpoints()
        monkeypatch.setattr(Service, "check_profile", slowly)
        async with connected(url, token("ann")):
            await asked.wait()
        async with connected(url) as other:
            go_on.set()
            assert (await other.reply(await other.send("hello", token=token("bob"))))["type"] == "welcome"
            async with asyncio.timeout(WAIT):
                while len(endpoints() - before) > 1:
                    await other.ok("ping")
