import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from realtime.client import (
    Client,
    CommandError,
    ListedMessage,
    MessageCreated,
    ProtocolViolation,
    Reaction,
    Room,
    Sent,
    Skip,
    Unread,
    User,
)
from tests.realtime.client.scripted import Peer, ScriptedServer, message


async def test_a_command_gets_its_own_reply(me: Client, peer: Peer) -> None:
    first = asyncio.create_task(me.command("room.list", mine=True, cursor=None))
    second = asyncio.create_task(me.command("read.list"))
    one, two = await peer.receive(), await peer.receive()
    assert one == {"type": "room.list", "id": one["id"], "mine": True}
    assert one["id"] != two["id"]
    await peer.ok(two, rooms=["two"])
    await peer.ok(one, rooms=["one"])
    assert (await first)["rooms"] == ["one"]
    assert (await second)["rooms"] == ["two"]


async def test_an_error_reply_is_raised_with_all_it_says(me: Client, peer: Peer) -> None:
    sending = asyncio.create_task(me.room("r1").send("x"))
    await peer.error(await peer.expect("message.send"), "muted", retry=True, retry_after_ms=30000, field="text")
    with pytest.raises(CommandError, match="muted: about muted") as caught:
        await sending
    error = caught.value
    assert (error.code, error.retry, error.retry_after_ms, error.field) == ("muted", True, 30000, "text")


async def test_messagepack_speaks_binary_frames(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", codec="msgpack") as me:
        peer = await server.accept()
        assert peer.ws.subprotocol == "galaxy.v1.msgpack"
        sending = asyncio.create_task(me.room("r1").send("héllo"))
        command = await peer.expect("message.send")
        assert command["text"] == "héllo"
        await peer.ok(command, pos=1, at=2)
        assert await sending == Sent(pos=1, at=2)


HELD: dict[str, Any] = {"held": True, "pending": "p1"}

HELPERS: list[tuple[Callable[[Room], Awaitable[Any]], dict[str, Any], dict[str, Any], Any]] = [
    (lambda r: r.send("a"), {"type": "message.send", "text": "a"}, {"pos": 1, "at": 2}, Sent(pos=1, at=2)),
    (lambda r: r.send("a", reply_to=3), {"type": "message.send", "text": "a", "reply_to": 3}, HELD, Sent(**HELD)),
    (lambda r: r.edit(2, "b"), {"type": "message.edit", "target": 2, "text": "b"}, {"pos": 5}, 5),
    (lambda r: r.delete(2, reason="x"), {"type": "message.delete", "target": 2, "reason": "x"}, {"pos": 6}, 6),
    (lambda r: r.react(2, "👍"), {"type": "message.react", "target": 2, "emoji": "👍"}, {}, None),
    (lambda r: r.unreact(2, "👍"), {"type": "message.unreact", "target": 2, "emoji": "👍"}, {"pos": 7}, 7),
    (lambda r: r.member_join(), {"type": "member.join"}, {"pos": 7}, 7),
    (lambda r: r.member_leave(), {"type": "member.leave"}, {"pos": 8}, 8),
    (lambda r: r.set_role("bob", "owner"), {"type": "member.role", "user": "bob", "role": "owner"}, {"pos": 8}, 8),
    (lambda r: r.mute("bob", seconds=9), {"type": "member.mute", "user": "bob", "seconds": 9}, {"pos": 9}, 9),
    (lambda r: r.unmute("bob"), {"type": "member.unmute", "user": "bob"}, {"pos": 9}, 9),
    (lambda r: r.kick("bob", reason="x"), {"type": "member.kick", "user": "bob", "reason": "x"}, {"pos": 9}, 9),
    (lambda r: r.ban("bob", purge_seconds=6), {"type": "member.ban", "user": "bob", "purge_seconds": 6}, {"pos": 9}, 9),
    (lambda r: r.unban("bob"), {"type": "member.unban", "user": "bob"}, {"pos": 9}, 9),
    (lambda r: r.update(title="New"), {"type": "room.update", "title": "New"}, {"pos": 9}, 9),
    (lambda r: r.create_invite(uses=1), {"type": "invite.create", "uses": 1}, {"code": "abc"}, "abc"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "command", "reply", "result"),
    HELPERS,
    ids=lambda value: value["type"] if isinstance(value, dict) and "type" in value else "",
)
async def test_what_changes_something_has_a_key(
    me: Client,
    peer: Peer,
    call: Callable[[Room], Awaitable[Any]],
    command: dict[str, Any],
    reply: dict[str, Any],
    result: Any,
) -> None:
    calling = asyncio.ensure_future(call(me.room("r1")))
    got = await peer.receive()
    assert 1 <= len(got.pop("key")) <= 64
    await peer.ok(got, **reply)
    assert await calling == result
    del got["id"]
    assert got == {**command, "room": "r1"}


async def test_two_sends_have_two_keys_and_a_given_key_is_kept(me: Client, peer: Peer) -> None:
    room = me.room("r1")
    sends = [asyncio.create_task(room.send("a", key=key)) for key in (None, None, "mine")]
    keys = []
    for _ in sends:
        command = await peer.receive()
        keys.append(command["key"])
        await peer.ok(command, pos=1, at=1)
    await asyncio.gather(*sends)
    assert keys[2] == "mine"
    assert len(set(keys)) == 3


async def test_creating_a_room(me: Client, peer: Peer) -> None:
    creating = asyncio.create_task(me.create_room("group", "Tea", settings={"slow_seconds": 5}))
    command = await peer.expect("room.create")
    assert command["visibility"] == "private"
    assert command["settings"] == {"slow_seconds": 5}
    await peer.ok(command, room={"id": "r9", "kind": "group", "title": "Tea", "visibility": "private", "settings": {}})
    info = await creating
    assert (info.id, info.title) == ("r9", "Tea")


async def test_accepting_an_invite(me: Client, peer: Peer) -> None:
    accepting = asyncio.create_task(me.accept_invite("code"))
    await peer.ok(await peer.expect("invite.accept"), room="r9", pos=4)
    accepted = await accepting
    assert (accepted.room, accepted.pos) == ("r9", 4)


async def test_the_read_state(me: Client, peer: Peer) -> None:
    listing = asyncio.create_task(me.read_list())
    await peer.ok(await peer.expect("read.list"), rooms=[{"room": "r1", "unread": 1, "mentions": 0, "read_pos": 3}])
    assert await listing == [Unread(room="r1", unread=1, mentions=0, read_pos=3)]
    marking = asyncio.create_task(me.room("r1").read_mark(4))
    command = await peer.expect("read.mark")
    assert command["pos"] == 4
    await peer.ok(command, rooms=[])
    await marking


async def test_listed_messages_are_typed(me: Client, peer: Peer) -> None:
    listing = asyncio.create_task(me.room("r1").messages(before=9, limit=2))
    command = await peer.expect("message.list")
    assert (command["before"], command["limit"]) == (9, 2)
    row = {"pos": 8, "n": 1, "at": 5, "by": {"id": "bob"}, "text": "x", "mentions": []}
    await peer.ok(command, messages=[{**row, "reactions": [{"emoji": "👍", "count": 2, "mine": True}]}], more=True)
    page = await listing
    assert page.more
    assert page.messages == [
        ListedMessage(
            pos=8, n=1, at=5, by=User(id="bob"), text="x", reactions=(Reaction(emoji="👍", count=2, mine=True),)
        )
    ]


async def test_a_page_of_the_log_is_typed(me: Client, peer: Peer) -> None:
    reading = asyncio.create_task(me.room("r1").log(after=1))
    skip = {"type": "room.skip", "room": "r1", "from": 3, "to": 4}
    await peer.ok(
        await peer.expect("room.events"), events=[message(2), skip], more=False, first_pos=1, pos=4, epoch="e1"
    )
    page = await reading
    assert [type(event) for event in page.events] == [MessageCreated, Skip]
    assert (page.first_pos, page.pos, page.epoch, page.more) == (1, 4, "e1", False)


async def test_a_reply_of_the_wrong_shape_is_a_violation(me: Client, peer: Peer) -> None:
    sending = asyncio.create_task(me.room("r1").send("x"))
    await peer.ok(await peer.expect("message.send"), pos="seven")
    with pytest.raises(ProtocolViolation, match="pos"):
        await sending
