import asyncio
from typing import Any

import pytest

from realtime.client import (
    Client,
    Closed,
    CommandError,
    EventStream,
    Mention,
    MessageCreated,
    Position,
    ProtocolViolation,
    Removed,
    Reset,
    Room,
    Skip,
)
from tests.realtime.client.scripted import HandClock, Peer, ScriptedServer, event, message


def skip(first: int, last: int) -> dict[str, Any]:
    return {"type": "room.skip", "room": "r1", "from": first, "to": last}


async def enter(me: Client, peer: Peer, pos: int = 0, *events: dict[str, Any], **options: Any) -> Room:
    room = me.room("r1", **options)
    entering = asyncio.create_task(room.__aenter__())
    await peer.join(pos, *events)
    return await entering


async def leave(room: Room, peer: Peer) -> None:
    leaving = asyncio.create_task(room.__aexit__(None, None, None))
    await peer.ok(await peer.expect("room.leave"))
    await leaving


async def positions(stream: EventStream, count: int) -> list[int | None]:
    return [(await anext(stream)).pos for _ in range(count)]


async def stalled(me: Client) -> None:
    """The client has stopped reading its socket."""
    for _ in iter(lambda: me._link is not None and me._link.stalled, True):
        await asyncio.sleep(0)


async def synced(me: Client, peer: Peer) -> None:
    """Everything sent to the client so far has been read by it."""
    asking = asyncio.create_task(me.command("read.list"))
    await peer.ok(await peer.expect("read.list"))
    await asking


async def test_joining_listening_and_leaving(me: Client, peer: Peer) -> None:
    room = me.room("r1")
    entering = asyncio.create_task(room.__aenter__())
    command = await peer.expect("room.join")
    assert "since" not in command
    await peer.joined(command, 4, first_pos=2, you={"role": "owner", "read_pos": 3})
    await peer.send(**message(5, "first"))
    await peer.send(**event("typing", user="bob"))
    assert await entering is room
    assert (room.info.title, room.you.role, room.you.read_pos, room.first_pos) == ("T", "owner", 3, 2)
    assert room.position == Position("e1", 4)
    first = await anext(room.events())
    assert isinstance(first, MessageCreated)
    assert first.message is not None
    assert first.message.text == "first"
    assert room.position == Position("e1", 5)
    assert (await anext(room.events())).type == "typing"
    await leave(room, peer)
    with pytest.raises(StopAsyncIteration):
        await anext(room.events())


async def test_a_refused_join_is_raised_and_leaves_nothing_behind(me: Client, peer: Peer) -> None:
    entering = asyncio.create_task(me.room("r1").__aenter__())
    await peer.error(await peer.expect("room.join"), "not_found")
    with pytest.raises(CommandError, match="not_found"):
        await entering
    await leave(await enter(me, peer), peer)


async def test_a_cancelled_join_leaves_nothing_behind(me: Client, peer: Peer) -> None:
    entering = asyncio.create_task(me.room("r1").__aenter__())
    late = await peer.expect("room.join")
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    await peer.joined(late, 0)
    await leave(await enter(me, peer), peer)


async def test_a_join_outlives_a_lost_connection(me: Client, server: ScriptedServer, peer: Peer) -> None:
    entering = asyncio.create_task(me.room("r1").__aenter__())
    await peer.expect("room.join")
    peer.abort()
    await (await server.accept()).join(3)
    assert (await entering).position == Position("e1", 3)


async def test_a_room_is_entered_once(me: Client, peer: Peer) -> None:
    room = await enter(me, peer)
    with pytest.raises(RuntimeError, match="entered before"):
        await room.__aenter__()
    with pytest.raises(ValueError, match="r1"):
        await me.room("r1").__aenter__()
    await leave(room, peer)


@pytest.mark.parametrize("answer", ["ok", "error", "lost"])
async def test_however_leaving_is_answered_the_room_is_left(me: Client, peer: Peer, answer: str) -> None:
    room = await enter(me, peer)
    leaving = asyncio.create_task(room.__aexit__(None, None, None))
    command = await peer.expect("room.leave")
    match answer:
        case "ok":
            await peer.ok(command)
        case "error":
            await peer.error(command, "not_found")
        case _:
            peer.abort()
    await leaving


async def test_after_a_lost_connection_it_joins_from_where_it_was(
    me: Client, server: ScriptedServer, peer: Peer
) -> None:
    room = await enter(me, peer)
    await peer.send(**message(1))
    assert await positions(room.events(), 1) == [1]
    await peer.send(**message(2))
    await synced(me, peer)
    peer.abort()
    peer = await server.accept()
    command = await peer.join(5, message(3), skip(4, 4), message(5))
    assert command["since"] == {"epoch": "e1", "pos": 2}
    await peer.send(**message(6))
    seen = [await anext(room.events()) for _ in range(5)]
    assert [item.pos for item in seen] == [2, 3, None, 5, 6]
    assert isinstance(seen[2], Skip)
    assert room.position == Position("e1", 6)


async def test_a_join_continues_from_a_given_position(me: Client, peer: Peer) -> None:
    room = me.room("r1", since=Position("e1", 7))
    entering = asyncio.create_task(room.__aenter__())
    command = await peer.join(9, message(8), message(9))
    assert command["since"] == {"epoch": "e1", "pos": 7}
    await entering
    assert room.position == Position("e1", 7)
    assert await positions(room.events(), 2) == [8, 9]


async def test_what_cannot_be_recovered_is_a_reset(me: Client, server: ScriptedServer, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(**message(1))
    await synced(me, peer)
    peer.abort()
    peer = await server.accept()
    await peer.join(2000, recovered=False, epoch="e2")
    await peer.send(**message(2001))
    assert await positions(room.events(), 1) == [1]
    reset = await anext(room.events())
    assert isinstance(reset, Reset)
    assert (reset.epoch, reset.pos) == ("e2", 2000)
    assert await positions(room.events(), 1) == [2001]


async def test_a_reset_keeps_the_subscription(me: Client, server: ScriptedServer, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(type="room.reset", room="r1", epoch="e2", pos=10)
    await peer.send(**message(11))
    reset = await anext(room.events())
    assert isinstance(reset, Reset)
    assert room.position == Position("e2", 10)
    assert await positions(room.events(), 1) == [11]
    peer.abort()
    command = await (await server.accept()).join(11, epoch="e2")
    assert command["since"] == {"epoch": "e2", "pos": 11}


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([message(3)], "position 3 to 3 where 2 was due"),
        ([message(1)], "position 1 to 1 where 2 was due"),
        ([message(2), message(2)], "position 2 to 2 where 3 was due"),
        ([skip(3, 4)], "position 3 to 4 where 2 was due"),
        ([skip(2, 4), message(4)], "position 4 to 4 where 5 was due"),
        ([skip(2, 1)], "position 2 to 1 where 2 was due"),
        ([event("from.the.future", pos=9)], "position 9 to 9"),
        ([event("message.edited", pos=2)], "target"),
    ],
)
async def test_a_hole_a_double_and_a_disorder_are_violations(
    me: Client, peer: Peer, after: list[dict[str, Any]], told: str
) -> None:
    room = await enter(me, peer)
    for raw in [message(1), *after]:
        await peer.send(**raw)
    await positions(room.events(), len(after))
    with pytest.raises(ProtocolViolation, match=told):
        await anext(room.events())
    await room.__aexit__(None, None, None)
    await synced(me, peer)  # the rest of the client goes on


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ({"pos": 9, "events": [message(8)]}, "recovery ends at"),
        ({"pos": 9, "events": [message(9)]}, "position 9 to 9 where 8"),
        ({"pos": 8, "events": [message(8), message(9)]}, "recovery ends at"),
        ({"pos": 8, "epoch": "e2", "events": [message(8)]}, "recovered from"),
        ({"pos": 6}, "recovered from"),
        ({"pos": 8, "first_pos": 9, "events": [message(8)]}, "recovered from"),
        ({"pos": 8, "recovered": False, "events": [message(8)]}, "did not recover"),
        ({"pos": 8, "events": [{**message(8), "room": "r2"}]}, "r2"),
        ({"pos": "8"}, "pos"),
    ],
)
async def test_a_recovery_that_is_not_whole_is_a_violation(
    me: Client, peer: Peer, reply: dict[str, Any], told: str
) -> None:
    entering = asyncio.create_task(me.room("r1", since=Position("e1", 7)).__aenter__())
    await peer.joined(await peer.expect("room.join"), **reply)
    with pytest.raises(ProtocolViolation, match=told):
        await entering
    await synced(me, peer)


async def test_recovering_without_having_asked_is_a_violation(me: Client, peer: Peer) -> None:
    entering = asyncio.create_task(me.room("r1").__aenter__())
    await peer.joined(await peer.expect("room.join"), 0, recovered=True)
    with pytest.raises(ProtocolViolation, match="recovered from"):
        await entering


async def test_being_removed_ends_the_stream_and_nothing_else(me: Client, server: ScriptedServer, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(type="room.removed", room="r1", code="banned", reason="spam", until=5)
    seen = [item async for item in room.events()]
    assert len(seen) == 1
    assert isinstance(seen[0], Removed)
    assert (seen[0].code, seen[0].reason, seen[0].until) == ("banned", "spam", 5)
    await room.__aexit__(None, None, None)
    peer.abort()
    peer = await server.accept()
    await synced(me, peer)


async def test_a_rejoin_that_is_refused_ends_the_stream(me: Client, server: ScriptedServer, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(**message(1))
    await synced(me, peer)
    peer.abort()
    peer = await server.accept()
    await peer.error(await peer.expect("room.join"), "banned")
    assert await positions(room.events(), 1) == [1]
    with pytest.raises(CommandError, match="banned"):
        await anext(room.events())


async def test_a_rejoin_that_may_succeed_later_is_tried_again(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", backoff_base=0, clock=clock, random=lambda: 0.5) as me:
        peer = await server.accept()
        room = await enter(me, peer)
        peer.abort()
        await clock.pass_sleep(0)
        peer = await server.accept()
        await peer.error(await peer.expect("room.join"), "rate_limited", retry=True, retry_after_ms=700)
        await clock.pass_sleep(0.7)
        await peer.error(await peer.expect("room.join"), "unavailable", retry=True)
        await clock.pass_sleep(1.5)
        await peer.join(1, message(1))
        assert await positions(room.events(), 1) == [1]


async def test_moving_to_a_new_connection_loses_and_doubles_nothing(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.25) as me:
        old = await server.accept()
        room = await enter(me, old)
        asking = asyncio.create_task(me.command("read.list"))
        unanswered = await old.expect("read.list")  # keeps the old connection open for a while
        await old.send(**message(1))
        await old.send(type="reconnect", within_ms=8000)
        await clock.until_asleep(2)
        await old.send(**message(2))
        assert await positions(room.events(), 2) == [1, 2]
        clock.advance(2)
        new = await server.accept()
        command = await new.expect("room.join")
        await old.send(**message(3))  # still subscribed there: not for the room any more
        assert command["since"] == {"epoch": "e1", "pos": 2}
        await old.send(type="mention", room="r1", pos=3)  # comes on the new connection as well
        await new.send(type="mention", room="r1", pos=4)
        await old.ok(unanswered)
        await asking
        await new.send(type="mention", room="r1", pos=5)
        assert await positions(me.events(), 2) == [4, 5]
        await new.joined(command, 3, message(3))
        await new.send(**message(4))
        assert await positions(room.events(), 2) == [3, 4]


async def test_a_join_that_was_answered_on_the_replaced_connection_is_made_again(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.25) as me:
        old = await server.accept()
        entering = asyncio.create_task(me.room("r1").__aenter__())
        command = await old.expect("room.join")
        await old.send(type="reconnect", within_ms=8000)
        await clock.pass_sleep(2)
        new = await server.accept()
        await clock.until_asleep(5)
        await old.joined(command, 5)
        await new.join(6)
        assert (await entering).position == Position("e1", 6)


async def test_a_full_queue_stops_the_reading_and_drops_nothing(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=4) as me:
        peer = await server.accept()
        room = await enter(me, peer)
        text = "x" * 50_000
        written = 0

        async def flood() -> None:
            nonlocal written
            for pos in range(1, 401):
                await peer.send(**message(pos, text))
                written = pos

        flooding = asyncio.create_task(flood())
        before = -1
        while written != before:  # until the socket takes no more
            before = written
            await asyncio.wait({flooding}, timeout=0.2)
        assert written < 400
        assert await positions(room.events(), 400) == list(range(1, 401))
        await flooding


async def test_while_reading_is_stopped_silence_is_no_sign_of_death(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", queue=1, clock=clock, backoff_base=0) as me:
        peer = await server.accept()
        room = await enter(me, peer)
        await peer.send(**message(1))
        await peer.send(**message(2))
        await peer.send(**event("reached"))
        await stalled(me)
        await clock.pass_sleep(30)
        await clock.pass_sleep(10)
        await clock.pass_sleep(10)
        assert await positions(room.events(), 3) == [1, 2, None]
        assert server.accepted.empty()
        await synced(me, peer)  # no ping before it


async def test_a_reply_behind_unread_events_is_read_all_the_same(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=2) as me:
        peer = await server.accept()
        room = await enter(me, peer)
        for pos in range(1, 6):
            await peer.send(**message(pos))
        await stalled(me)
        sending = asyncio.create_task(room.send("hello"))
        command = await peer.expect("message.send")
        await peer.send(**message(6))
        await peer.ok(command, pos=6, at=1)
        assert (await sending).pos == 6
        await synced(me, peer)  # no join while the queue is full
        assert await positions(room.events(), 1) == [1]
        command = await peer.expect("room.join")
        assert command["since"] == {"epoch": "e1", "pos": 2}
        await peer.send(**message(7))  # from before the join took effect: part of what it recovers
        await peer.joined(command, 7, *[message(pos) for pos in range(3, 8)])
        await peer.send(**message(8))
        assert await positions(room.events(), 7) == [2, 3, 4, 5, 6, 7, 8]


async def test_entering_another_room_is_not_held_up_by_unread_events(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=1) as me:
        peer = await server.accept()
        await enter(me, peer)
        for pos in range(1, 4):
            await peer.send(**message(pos))
        await stalled(me)
        entering = asyncio.create_task(me.room("r2").__aenter__())
        await peer.join(0)
        await entering


async def test_leaving_frees_a_stopped_reader(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=1) as me:
        peer = await server.accept()
        room = await enter(me, peer)
        for pos in range(1, 4):
            await peer.send(**message(pos))
        await stalled(me)
        await leave(room, peer)
        await synced(me, peer)


async def test_a_client_that_stopped_reading_ends_cleanly(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=1) as me:
        peer = await server.accept()
        await enter(me, peer)
        for pos in range(1, 4):
            await peer.send(**message(pos))
        await stalled(me)


async def test_user_events_go_to_the_user(me: Client, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(type="mention", room="r1", pos=99)
    await peer.send(type="invited", room="r7")
    await peer.send(type="message.pending", room="r8", pending="p1", message={"text": "x"})
    await peer.send(type="from.the.future", value=1)
    await peer.send(type="presence", room="r9", online=3)  # a room left a moment ago
    await peer.send(type="user.changed", rooms=[])
    await peer.send(**message(1))
    first = await anext(me.events())
    assert isinstance(first, Mention)
    assert (first.room, first.pos) == ("r1", 99)
    types = [(await anext(me.events())).type for _ in range(4)]
    assert types == ["invited", "message.pending", "from.the.future", "user.changed"]
    assert await positions(room.events(), 1) == [1]


async def test_unread_user_events_drop_the_oldest_and_count_it(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", queue=2) as me:
        peer = await server.accept()
        for pos in range(1, 6):
            await peer.send(type="mention", room="r1", pos=pos)
        await synced(me, peer)
        assert await positions(me.events(), 2) == [4, 5]
        assert me.dropped_user_events == 3


async def test_the_clients_end_ends_the_rooms_too(me: Client, peer: Peer) -> None:
    room = await enter(me, peer)
    await peer.send(**message(1))
    await peer.close(3503, "removed")
    assert await positions(room.events(), 1) == [1]
    with pytest.raises(Closed, match="removed"):
        await anext(room.events())
    await room.__aexit__(None, None, None)
