"""Two nodes on one log, as they hear each other or do not: what each of them does about it."""

import asyncio
from typing import Any

import pytest

from realtime import ports
from realtime.hosting import peers
from rooms import commands as c
from tests.realtime.hosting.two_nodes import ANN, OWNER, ROOM, SECONDS, Node, until


async def test_what_another_node_writes_is_heard(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos
    assert there.counters.reads == 0


async def test_a_beacon_tells_of_a_last_message_that_got_lost(nodes: tuple[Node, Node], ticking: None) -> None:
    here, there = nodes
    here.broker.up = False
    pos = await here.say()
    here.broker.up = True
    await until(lambda: there.pos == pos)


async def test_a_node_without_its_broker_asks_the_store(nodes: tuple[Node, Node], ticking: None) -> None:
    here, there = nodes
    there.broker.go()
    assert there.service.following.degraded
    for _ in range(3):
        pos = await here.say()
        await until(lambda: there.pos == pos)  # noqa: B023 - waited for at once
    there.broker.come_back()
    assert not there.service.following.degraded


async def test_a_node_that_does_not_hear_another_asks_the_store(
    nodes: tuple[Node, Node], ticking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    await until(lambda: len(there.service.following.peers) == 1)
    monkeypatch.setattr(peers, "LOST_SECONDS", 0.05)
    here.broker.up = False
    await until(lambda: there.service.following.degraded)
    pos = await here.say()
    await until(lambda: there.pos == pos)
    here.broker.up = True
    await until(lambda: not there.service.following.degraded)


async def test_what_a_node_wrote_while_nobody_heard_it_is_read_once_it_is_heard(
    nodes: tuple[Node, Node], ticking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it was cut off for longer than the others look for what it writes."""
    here, there = nodes
    await until(lambda: len(there.service.following.peers) == 1)
    with monkeypatch.context() as patch:
        patch.setattr(peers, "LOST_SECONDS", 0.05)
        patch.setattr(peers, "MISSED_SECONDS", 0.05)
        here.broker.up = False
        await until(lambda: not len(there.service.following.peers) and not there.service.following.degraded)
    pos = await here.say()
    await until(lambda: not here.service.across._active)
    assert there.pos < pos
    here.broker.up = True
    await until(lambda: there.pos == pos)


async def test_what_is_written_while_a_room_is_loaded_is_not_missed(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    there.service.hub.remove(ROOM, there.view)
    there.service.directory.hosts.pop(ROOM).log.close()
    there.service.following.end(ROOM)
    load = there.store.load
    said: list[int] = []

    async def slow(room: str) -> ports.Loaded | None:
        loaded = await load(room)
        said.append(await here.say())
        await asyncio.sleep(0.01)  # so that it has been heard before there is a host
        return loaded

    monkeypatch.setattr(there.store, "load", slow)
    await there.listen()
    await until(lambda: there.pos == said[0])
    there.service.hub.flush_all()
    assert there.view.pos == said[0]


async def test_members_who_are_online_are_told_of_rooms_that_are_not_at_work(
    nodes: tuple[Node, Node], ticking: None
) -> None:
    here, there = nodes
    told: list[dict[str, Any]] = []

    class Window:
        issued_ms = 0

        def tell(self, event: dict[str, Any]) -> None:
            told.append(event)

        def logged_out(self) -> None:
            raise AssertionError

    await here.service.answer(OWNER, c.RoomCreate(kind="group", title="G", visibility="public", room="g"))
    await here.service.answer(ANN, c.MemberJoin(room="g"))
    await there.service.users.connect("ann", "Ann", Window())
    assert "g" not in there.service.directory.hosts
    await until(lambda: ports.room_topic("g") in there.broker._topics)
    await here.service.answer(OWNER, c.MessageSend(room="g", text="@ann"))

    def counts() -> dict[str, Any]:
        rows = [row for event in told if event["type"] == "user.changed" for row in event["rooms"]]
        return rows[-1] if rows else {}

    async def announced(unread: int) -> None:
        async with asyncio.timeout(SECONDS):
            while counts().get("unread") != unread:
                await there.service.users.announce()
                await asyncio.sleep(0.001)

    await announced(1)
    assert counts()["mentions"] == 1
    # What does not come is missed all the same, and read from the store.
    there.broker.go()
    await here.service.answer(OWNER, c.MessageSend(room="g", text="again"))
    await announced(2)


async def test_a_store_that_hangs_does_not_make_a_node_fall_silent(
    nodes: tuple[Node, Node], ticking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = nodes
    hangs = asyncio.Event()
    said: list[bool] = []

    async def hang(rooms: object) -> None:
        hangs.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(there.service.store, "heads", hang)
    there.service.following.missed()
    await hangs.wait()
    monkeypatch.setattr(there.service.across, "alive", lambda **_: said.append(True))
    await until(lambda: len(said) >= 3)


async def test_a_room_that_is_being_loaded_is_followed_though_its_members_come_and_go(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = nodes
    following, topic = there.service.following, ports.room_topic("x")
    followed: set[str] = set()
    slow = asyncio.Event()

    async def follow(asked: str) -> None:
        followed.add(asked)
        await slow.wait()

    monkeypatch.setattr(there.broker, "follow", follow)
    monkeypatch.setattr(there.broker, "unfollow", followed.discard)
    loading = asyncio.create_task(following.begin("x"))
    await asyncio.sleep(0)
    following.members_came("x")
    following.members_left("x")
    slow.set()
    await loading
    assert topic in followed
    following.end("x")
    assert topic not in followed


async def test_members_who_leave_at_once_leave_no_subscription(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = nodes
    followed: list[str] = []

    async def follow(asked: str) -> None:
        followed.append(asked)

    monkeypatch.setattr(there.broker, "follow", follow)
    there.service.following.members_came("x")
    there.service.following.members_left("x")
    for _ in range(3):
        await asyncio.sleep(0)
    assert followed == []
