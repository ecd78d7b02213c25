"""Two nodes on one log, as they hear each other or do not: what each of them does about it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from realtime import ports
from realtime.hosting import following, keeping_up, peers
from realtime.hosting.service import Service
from realtime.ports.carried import Beacon, Carried, Committed
from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor, By
from rooms.events import MessagePinned
from tests.support.lossy import LossyBroker, LossyBus
from tests.support.service import make_service
from tests.support.view import View

ROOM = "r"
NOW = 1_700_000_000_000
SECONDS = 20
OWNER = Actor(user="owner", name="Owner", admin=True)
ANN = Actor(user="ann", name="Ann")


class Node:
    def __init__(self, folder: Path, bus: LossyBus):
        self.store = SQLiteStore(folder / "galaxy.db", lambda: NOW)
        self.broker = LossyBroker(bus)
        self.service: Service = make_service(self.store, lambda: NOW, broker=self.broker)
        self.view = View("ann")

    @property
    def pos(self) -> int:
        return self.service.directory.hosts[ROOM].room.pos

    @property
    def counters(self) -> keeping_up.Counters:
        return self.service.keeping_up

    async def say(self, text: str = "hello") -> int:
        return int((await self.service.answer(OWNER, c.MessageSend(room=ROOM, text=text)))["pos"])

    async def listen(self, since: c.Since | None = None) -> dict[str, Any]:
        replies: list[dict[str, Any]] = []

        def reply(shown: dict[str, Any]) -> None:
            replies.append(shown)
            self.view.on_joined(shown, since.pos if since and shown["recovered"] else None)

        await self.service.joining.join(c.RoomJoin(room=ROOM, since=since), self.view, reply)
        return replies[0]

    def hear(self, *messages: Carried) -> None:
        self.service.following.heard("another", ports.room_topic(ROOM), messages)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - looked at after whatever happens
            await asyncio.sleep(0.001)


@pytest.fixture
def bus() -> LossyBus:
    bus = LossyBus(random.Random(1))
    bus.lossy = False
    return bus


@pytest.fixture
async def nodes(tmp_path: Path, bus: LossyBus) -> AsyncIterator[tuple[Node, Node]]:
    """The first has a public live room, to which the second has somebody listen."""
    here, there = Node(tmp_path, bus), Node(tmp_path, bus)
    for node in (here, there):
        await node.service.start()
    await here.service.answer(OWNER, c.RoomCreate(kind="live", title="R", visibility="public", room=ROOM))
    await there.listen()
    yield here, there
    for node in (here, there):
        await node.service.close()


@pytest.fixture
async def ticking(nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Both do by the clock what is to be done, with ticks of a hundredth of a second."""
    monkeypatch.setattr(following, "ALIVE_SECONDS", 0.01)
    running = [asyncio.create_task(node.service.following.run()) for node in nodes]
    yield running
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_what_another_node_writes_is_heard(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos
    assert there.counters.reads == 0


async def test_a_hole_is_read_from_the_log(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    here.broker.go()
    await here.say()
    here.broker.up = True
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos
    assert there.counters == keeping_up.Counters(reads=1)


async def test_a_beacon_tells_of_a_last_message_that_got_lost(
    nodes: tuple[Node, Node], ticking: list[asyncio.Task[None]]
) -> None:
    here, there = nodes
    here.broker.up = False
    pos = await here.say()
    here.broker.up = True
    await until(lambda: there.pos == pos)


async def test_a_node_without_its_broker_asks_the_store(
    nodes: tuple[Node, Node], ticking: list[asyncio.Task[None]]
) -> None:
    here, there = nodes
    there.broker.go()
    assert there.service.following.degraded
    for _ in range(3):
        pos = await here.say()
        await until(lambda: there.pos == pos)  # noqa: B023 - waited for at once
    there.broker.come_back()
    assert not there.service.following.degraded


async def test_a_node_that_does_not_hear_another_asks_the_store(
    nodes: tuple[Node, Node], ticking: list[asyncio.Task[None]], monkeypatch: pytest.MonkeyPatch
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
    nodes: tuple[Node, Node], ticking: list[asyncio.Task[None]], monkeypatch: pytest.MonkeyPatch
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


async def test_a_room_too_far_behind_begins_anew(nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = nodes
    monkeypatch.setattr(keeping_up, "MOST_READ", 3)
    there.broker.go()
    for _ in range(5):
        pos = await here.say()
    there.hear(Beacon(there.view.epoch, pos))
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.counters.resets == 1
    assert (there.view.pos, there.view.types) == (pos, {})
    there.broker.up = True
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos


async def test_who_was_banned_meanwhile_hears_no_more_of_a_room_that_begins_anew(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    monkeypatch.setattr(keeping_up, "MOST_READ", 1)
    there.broker.go()
    await here.service.answer(OWNER, c.MemberBan(room=ROOM, user="ann"))
    pos = await here.say()
    there.hear(Beacon(there.view.epoch, pos))
    await until(lambda: not there.view.joined)
    assert not there.service.hub.listening(ROOM, there.view)


async def test_another_epoch_is_a_room_that_begins_anew(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = nodes
    load = there.store.load

    async def restored(room: str) -> ports.Loaded | None:
        loaded = await load(room)
        assert loaded is not None
        return ports.Loaded(loaded.room, "another", loaded.first_pos)

    monkeypatch.setattr(there.store, "load", restored)
    there.hear(Committed("another", ()))
    await until(lambda: there.service.directory.hosts[ROOM].epoch == "another")
    there.service.hub.flush_all()
    assert there.view.epoch == "another"
    assert there.counters.resets == 1


async def test_a_log_that_lacks_what_was_heard_is_not_read_all_the_time(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover that has lost something."""
    _, there = nodes
    monkeypatch.setattr(keeping_up, "AGAIN_SECONDS", 1_000.0)
    by = By("owner", "Owner", "owner")
    there.hear(Committed(there.view.epoch, (MessagePinned(room=ROOM, pos=there.pos + 2, at=NOW, by=by, target=1),)))
    host = there.service.directory.hosts[ROOM]
    await until(lambda: there.counters.reads == 1 and not host.busy)
    look = host.log._look
    assert look is not None
    assert look.when() > asyncio.get_running_loop().time() + SECONDS


async def test_who_comes_from_another_node_may_know_more_than_this_one(nodes: tuple[Node, Node]) -> None:
    """The room has not gone back for them: what is missing here is read from the log first."""
    here, there = nodes
    there.broker.go()
    pos = await here.say()
    assert there.pos < pos
    epoch = there.view.epoch
    there.service.hub.remove(ROOM, there.view)
    there.view.begin(pos, epoch)
    reply = await there.listen(c.Since(epoch, pos))
    assert (reply["recovered"], reply["events"], reply["pos"]) == (True, [], pos)
    # Nor does a position that no log holds keep anybody waiting.
    reply = await there.listen(c.Since(epoch, pos + 1_000))
    assert (reply["recovered"], reply["pos"]) == (False, pos)


async def test_what_was_read_on_another_node_is_marked_on_one_that_is_behind(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.service.answer(ANN, c.MemberJoin(room=ROOM))
    await until(lambda: there.pos == 2)
    there.broker.go()
    pos = await here.say()
    (state,) = (await there.service.answer(ANN, c.ReadMark(room=ROOM, pos=pos)))["rooms"]
    assert (state["read_pos"], state["unread"]) == (pos, 0)


async def test_who_comes_from_another_node_waits_for_a_store_that_fails(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    there.broker.go()
    pos = await here.say()

    async def gone(room: str, **span: int) -> Any:
        raise ports.Unavailable("gone", 10)

    with monkeypatch.context() as patch:
        patch.setattr(there.store, "events", gone)
        with pytest.raises(ports.Unavailable):
            await there.listen(c.Since(there.view.epoch, pos))
    there.service.hub.remove(ROOM, there.view)
    there.view.begin(pos, there.view.epoch)
    assert (await there.listen(c.Since(there.view.epoch, pos)))["recovered"]


async def test_a_commit_whose_answer_is_lost_is_found_without_any_command(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who listen on either node hear of it."""
    here, there = nodes
    await here.listen()
    monkeypatch.setattr(keeping_up, "AGAIN_SECONDS", 0.02)
    append = here.store.append_all

    async def silent(batches: Any) -> Any:
        await append(batches)
        raise ports.Unavailable("no answer", 10)

    with monkeypatch.context() as patch:
        patch.setattr(here.store, "append_all", silent)
        with pytest.raises(Exception, match="Try again"):
            await here.say("perhaps")
    for node in (here, there):
        await until(lambda node=node: node.pos == 2)  # type: ignore[misc]  # a default is no argument
        node.service.hub.flush_all()
        assert (node.view.pos, node.view.texts) == (2, {2: "perhaps"})


async def test_own_events_come_before_what_others_have_written_after_them(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other node's message is here before this node's own commit is."""
    here, there = nodes
    await here.listen()
    append = here.store.append_all
    written = asyncio.Event()
    go_on = asyncio.Event()

    async def late(batches: Any) -> Any:
        outcomes = await append(batches)
        written.set()
        await go_on.wait()
        return outcomes

    monkeypatch.setattr(here.store, "append_all", late)
    saying = asyncio.create_task(here.say("first"))
    await written.wait()
    pos = await there.say("second")
    host = here.service.directory.hosts[ROOM]
    await until(lambda: host.log._heard.pos == pos)
    go_on.set()
    await saying
    await until(lambda: here.pos == pos)
    here.service.hub.flush_all()
    assert (here.view.pos, here.view.texts) == (3, {2: "first", 3: "second"})


async def test_members_who_are_online_are_told_of_rooms_that_are_not_at_work(
    nodes: tuple[Node, Node], ticking: list[asyncio.Task[None]]
) -> None:
    here, there = nodes
    told: list[dict[str, Any]] = []

    class Window:
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
