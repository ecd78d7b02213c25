"""A live room in which more is said than is shown, over real connections: who hears what, and what is never lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from realtime.client import Client, CommentsSampled, MessageCreated, Skip
from tests.support.peer import MSGPACK, WAIT, Peer, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = 40
"""Said at once where one a second is shown: however slow the machine, most of it is spared."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    settings = NO_LIMITS | {
        "GALAXY_LIMITS__LIVE_COMMENTS_PER_SECOND": "1",
        "GALAXY_LIMITS__PRESENCE_NAMES": "4",
    }
    async with serving(tmp_path_factory.mktemp("live"), settings) as server:
        yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def owner(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("owner", name="Owner")) as peer:
        yield peer


async def make(owner: Peer, kind: str = "live") -> str:
    reply = await owner.ok("room.create", kind=kind, title="Room", visibility="public")
    room: str = reply["room"]["id"]
    await owner.ok("room.join", room=room)
    return room


async def flood(peer: Peer, room: str) -> list[int]:
    """COUNT comments, sent together: their positions."""
    commands = [await peer.send("message.send", room=room, text=f"comment {n}") for n in range(COUNT)]
    return [(await peer.reply(command))["pos"] for command in commands]


async def heard(peer: Peer, last: int) -> list[dict[str, Any]]:
    """The room's log as the peer was told of it up to a position, checked for holes, doubles and order."""
    events: list[dict[str, Any]] = []
    at: int | None = None
    while at is None or at < last:
        event = await peer.receive() if not peer.inbox else peer.inbox.pop(0)
        if event["type"] == "room.skip":
            first, to = event["from"], event["to"]
        elif event["type"].startswith(("message.created", "member.")):
            first = to = event["pos"]
        else:
            continue
        assert at is None or first == at + 1, event
        at = to
        events.append(event)
    return events


def comments(events: list[dict[str, Any]]) -> list[int]:
    return [event["pos"] for event in events if event["type"] == "message.created"]


async def test_viewers_are_shown_a_sample_senders_their_own_and_moderators_all(url: str, owner: Peer) -> None:
    room = await make(owner)
    async with greeted(url, token("bob")) as bob, greeted(url, token("cem"), codec=MSGPACK) as cem:
        for peer in (bob, cem):
            await peer.ok("room.join", room=room)
        said = await flood(bob, room)
        last = (await owner.ok("message.send", room=room, text="the end"))["pos"]
        assert comments(await heard(owner, last)) == [*said, last]
        assert comments(await heard(bob, last)) == [*said, last]
        shown = comments(await heard(cem, last))
        assert shown[-1] == last
        assert 1 <= len(shown) < COUNT
        sampled = await cem.event("comments.sampled")
        assert sampled["shown"] < sampled["total"] <= COUNT


async def test_all_comments_stay_in_the_log_and_count_as_unread(url: str, owner: Peer) -> None:
    room = await make(owner)
    async with greeted(url, token("cem")) as cem, greeted(url, token("bob")) as bob:
        joined = (await cem.ok("member.join", room=room))["pos"]
        epoch = (await cem.ok("room.join", room=room))["epoch"]
        said = await flood(bob, room)
        mention = (await bob.ok("message.send", room=room, text="@cem look"))["pos"]
        assert len(comments(await heard(cem, mention))) < COUNT
        while (await cem.event("user.changed"))["rooms"][0]["unread"] != COUNT + 1:
            pass
        assert (await cem.ok("read.list"))["rooms"][0] == {
            "room": room, "unread": COUNT + 1, "mentions": 1, "read_pos": joined
        }  # fmt: skip
        again = await cem.ok("room.join", room=room, since={"epoch": epoch, "pos": joined})
        assert again["recovered"]
        assert comments(again["events"]) == [*said, mention]
        assert comments((await cem.ok("room.events", room=room, after=joined, limit=200))["events"]) == [*said, mention]
        listed = (await cem.ok("message.list", room=room, limit=200))["messages"]
        assert [message["pos"] for message in listed] == [*said, mention]


async def test_the_client_library_follows_a_sample(url: str, owner: Peer) -> None:
    room = await make(owner)
    async with Client(url, token=token("dan")) as dan, dan.room(room) as followed, greeted(url, token("bob")) as bob:
        said = await flood(bob, room)
        last = (await owner.ok("message.send", room=room, text="the end"))["pos"]
        shown, spared, sampled = [], 0, None
        async for event in followed.events():
            match event:
                case MessageCreated(pos=int(pos)):
                    shown.append(pos)
                case Skip(first=first, last=to):
                    spared += to - first + 1
                case CommentsSampled():
                    sampled = event
                case _:
                    pass
            if last in shown and sampled is not None:
                break
        assert spared > 0
        assert len(shown) + spared == len(said) + 1
        assert sampled is not None
        assert sampled.shown < sampled.total
        assert followed.position is not None
        assert followed.position.pos == last


async def test_an_event_stream_has_the_same_sample(url: str, owner: Peer) -> None:
    room = await make(owner)
    headers = {"Authorization": f"Bearer {token('eve')}", "Accept": "text/event-stream"}
    async with (
        asyncio.timeout(WAIT),
        httpx.AsyncClient(base_url=url, headers=headers) as http,
        http.stream("GET", f"/v1/rooms/{room}/events") as stream,
        greeted(url, token("bob")) as bob,
    ):
        lines = stream.aiter_lines()
        while await anext(lines) != "event: joined":
            pass
        said = await flood(bob, room)
        told: list[dict[str, Any]] = []
        async for line in lines:
            if line.startswith("data: "):
                told.append(msgspec.json.decode(line.removeprefix("data: ")))
                if told[-1].get("to", told[-1].get("pos")) == said[-1]:
                    break
        spared = sum(event["to"] - event["from"] + 1 for event in told if event["type"] == "room.skip")
        assert 1 <= len(comments(told)) == COUNT - spared < COUNT


async def test_in_a_crowd_who_becomes_a_member_is_told_to_them_and_the_moderators(url: str, owner: Peer) -> None:
    room = await make(owner, kind="group")
    async with (
        greeted(url, token("bob")) as bob,
        greeted(url, token("cem")) as cem,
        greeted(url, token("dan")) as dan,
        greeted(url, token("eve")) as eve,
    ):
        for peer in (bob, cem, dan, eve):
            await peer.ok("room.join", room=room)
        pos = (await bob.ok("member.join", room=room))["pos"]
        for peer in (owner, bob):
            assert [event["type"] for event in await heard(peer, pos)] == ["member.joined"]
        for peer in (cem, dan, eve):
            assert await heard(peer, pos) == [{"type": "room.skip", "room": room, "from": pos, "to": pos}]
        await bob.ok("typing", room=room)
        assert [event for event in await cem.settled() if event["type"] == "typing"] == []
        await eve.ok("room.leave", room=room)
        await bob.ok("typing", room=room)
        assert (await cem.event("typing"))["user"] == "bob"
